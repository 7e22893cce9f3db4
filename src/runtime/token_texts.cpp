#include "runtime/token_texts.hpp"

#include <algorithm>

namespace hf::runtime {

TokenTexts::TokenTexts(const Tokenizer& tokenizer, std::span<const std::string> markers)
    : texts_(tokenizer.vocabulary()), ends_(tokenizer.vocabulary()) {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const auto token = static_cast<Token>(i);
    if (tokenizer.ends_generation(token)) {
      ends_[i] = 1;
    } else if (!tokenizer.is_control(token)) {
      texts_[i] = tokenizer.piece(token, false);
    } else if (auto name = tokenizer.piece(token, true); std::ranges::contains(markers, name)) {
      texts_[i] = std::move(name);
    }
  }
}

grammar::TokenTable TokenTexts::table() const {
  std::vector<Token> ends;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    if (ends_[i] != 0) ends.push_back(static_cast<Token>(i));
  }
  return {texts_, std::move(ends)};
}

}  // namespace hf::runtime
