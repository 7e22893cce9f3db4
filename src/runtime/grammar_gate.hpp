#pragma once
// A request's grammar over its output: from the first token, or only behind trigger strings with
// free text around (tool calls). Used by ChoiceOutput. Threads: engine thread.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.hpp"
#include "runtime/token_texts.hpp"

namespace hf::runtime {

class GrammarGate {
 public:
  /// No grammar: everything may come.
  GrammarGate() = default;
  /// `texts` and `table` must outlive the gate.
  GrammarGate(std::shared_ptr<const grammar::Grammar> grammar, std::vector<std::string> triggers,
              const TokenTexts& texts, const grammar::TokenTable& table);

  [[nodiscard]] bool present() const { return grammar_ != nullptr; }
  [[nodiscard]] bool triggered() const { return !triggers_.empty(); }
  /// What the next token must fit; null: nothing. Valid until the next call.
  [[nodiscard]] grammar::Matcher* constraint() const;
  /// False if this token, though constraint() allows it, holds a trigger and then bytes that the
  /// grammar does not allow behind it.
  [[nodiscard]] bool admits(Token token) const;
  /// Goes on over a token. False if it does not fit; the grammar is then given up.
  bool accept(Token token);
  /// The output is complete: nothing but the end may follow. Never with triggers.
  [[nodiscard]] bool must_end() const;
  [[nodiscard]] bool can_end() const;

 private:
  struct Place {
    std::unique_ptr<grammar::Matcher> matcher = {};  // Null: free text.
    std::string tail = {};  // End of the free text, as long as a trigger may need.
  };
  [[nodiscard]] bool advance(Place& place, std::string_view bytes) const;
  [[nodiscard]] bool may_trigger(std::string_view bytes) const;

  std::shared_ptr<const grammar::Grammar> grammar_ = {};
  std::vector<std::string> triggers_ = {};
  std::size_t trigger_bytes_max_ = 0;
  const TokenTexts* texts_ = nullptr;
  const grammar::TokenTable* table_ = nullptr;
  Place place_ = {};
};

}  // namespace hf::runtime
