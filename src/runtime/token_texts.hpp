#pragma once
// What each token of a vocabulary adds to the output text, read once per model. Used by the
// scheduler and for grammars. Immutable; any thread.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.hpp"
#include "runtime/runner.hpp"

namespace hf::runtime {

class TokenTexts {
 public:
  /// `markers`: texts by which the model's output is parsed (chat::output_markers). Control tokens
  /// with such a name count as text; all other control tokens have none.
  TokenTexts(const Tokenizer& tokenizer, std::span<const std::string> markers);

  /// The token's bytes (may be part of a character); empty for control tokens and unknown ids.
  [[nodiscard]] std::string_view text(Token token) const {
    return known(token) ? std::string_view(texts_[static_cast<std::size_t>(token)])
                        : std::string_view();
  }
  /// True for end-of-generation tokens.
  [[nodiscard]] bool ends(Token token) const {
    return known(token) && ends_[static_cast<std::size_t>(token)] != 0;
  }
  [[nodiscard]] bool known(Token token) const {
    return token >= 0 && static_cast<std::size_t>(token) < texts_.size();
  }
  [[nodiscard]] std::uint32_t vocabulary() const {
    return static_cast<std::uint32_t>(texts_.size());
  }
  /// The vocabulary as a grammar sees it.
  [[nodiscard]] grammar::TokenTable table() const;

 private:
  std::vector<std::string> texts_;
  std::vector<std::uint8_t> ends_;
};

}  // namespace hf::runtime
