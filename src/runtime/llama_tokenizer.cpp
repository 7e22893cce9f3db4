#include <algorithm>
#include <limits>

#include "runtime/llama_parts.hpp"

namespace hf::runtime {

LlamaTokenizer::LlamaTokenizer(const llama_vocab* vocabulary) : vocabulary_(vocabulary) {}

std::vector<Token> LlamaTokenizer::tokenize(std::string_view text, bool add_special,
                                            bool parse_special) const {
  constexpr std::size_t kBytesMax = std::size_t{1} << 30U;
  text = text.substr(0, kBytesMax);
  std::vector<Token> tokens(text.size() / 3 + 16);
  const auto length = static_cast<std::int32_t>(text.size());
  auto count = llama_tokenize(vocabulary_, text.data(), length, tokens.data(),
                              static_cast<std::int32_t>(tokens.size()), add_special, parse_special);
  if (count == std::numeric_limits<std::int32_t>::min()) return {};
  if (count < 0) {
    tokens.resize(static_cast<std::size_t>(-count));
    count = llama_tokenize(vocabulary_, text.data(), length, tokens.data(),
                           static_cast<std::int32_t>(tokens.size()), add_special, parse_special);
  }
  tokens.resize(static_cast<std::size_t>(std::max(count, 0)));
  return tokens;
}

std::string LlamaTokenizer::piece(Token token, bool show_control) const {
  std::string text(32, '\0');
  auto length = llama_token_to_piece(vocabulary_, token, text.data(),
                                     static_cast<std::int32_t>(text.size()), 0, show_control);
  if (length < 0) {
    text.resize(static_cast<std::size_t>(-length));
    length = llama_token_to_piece(vocabulary_, token, text.data(),
                                  static_cast<std::int32_t>(text.size()), 0, show_control);
  }
  text.resize(static_cast<std::size_t>(std::max(length, 0)));
  return text;
}

bool LlamaTokenizer::ends_generation(Token token) const {
  return llama_vocab_is_eog(vocabulary_, token);
}
bool LlamaTokenizer::is_control(Token token) const {
  const auto kind = static_cast<unsigned>(llama_vocab_get_attr(vocabulary_, token));
  constexpr auto kNoText = static_cast<unsigned>(LLAMA_TOKEN_ATTR_CONTROL) |
                           static_cast<unsigned>(LLAMA_TOKEN_ATTR_UNKNOWN) |
                           static_cast<unsigned>(LLAMA_TOKEN_ATTR_UNUSED);
  return (kind & kNoText) != 0;
}
std::uint32_t LlamaTokenizer::vocabulary() const {
  return static_cast<std::uint32_t>(llama_vocab_n_tokens(vocabulary_));
}

// BERT-like: [CLS] query [SEP] document [SEP]; the document's own beginning is dropped.
std::vector<Token> LlamaTokenizer::join_pair(std::span<const Token> query,
                                             std::span<const Token> document) const {
  std::vector<Token> joined(query.begin(), query.end());
  const auto bos = llama_vocab_bos(vocabulary_);
  const auto eos = llama_vocab_eos(vocabulary_);
  const auto sep = llama_vocab_sep(vocabulary_);
  if (joined.empty() || (joined.back() != eos && joined.back() != sep)) {
    if (eos != LLAMA_TOKEN_NULL) joined.push_back(eos);
  }
  if (sep != LLAMA_TOKEN_NULL && joined.back() != sep) joined.push_back(sep);
  if (!document.empty() && document.front() == bos) document = document.subspan(1);
  joined.insert(joined.end(), document.begin(), document.end());
  return joined;
}

}  // namespace hf::runtime
