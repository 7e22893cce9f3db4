#pragma once
// For the tests: small vocabularies and short ways to try a grammar on a text.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/grammar.hpp"

namespace hf::grammar {

/// Tokens 0..255 are the single bytes, 256 ends, 257 is a control token, then `more`.
inline constexpr Token kEndToken = 256;
inline TokenTable byte_vocabulary(const std::vector<std::string>& more = {}) {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  pieces.emplace_back();
  pieces.emplace_back();
  pieces.insert(pieces.end(), more.begin(), more.end());
  return TokenTable(std::move(pieces), {kEndToken});
}

inline Result<std::shared_ptr<const Grammar>> compile_text(wire::GrammarKind kind, std::string_view text,
                                                           const Limits& limits = {}) {
  return compile({.kind = kind, .text = std::string(text)}, limits);
}

/// The whole text is a sentence of the grammar.
inline bool matches(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  static const TokenTable tokens = byte_vocabulary();
  const auto matcher = make_matcher(grammar, tokens);
  return matcher->accept_bytes(text).has_value() && matcher->can_end();
}

inline std::string error_of(const Result<std::shared_ptr<const Grammar>>& result) {
  return result ? "" : result.error().message;
}

inline bool bit(std::span<const std::uint64_t> mask, Token token) {
  const auto index = static_cast<std::size_t>(token);
  return ((mask[index / 64] >> (index % 64)) & 1U) != 0;
}

}  // namespace hf::grammar
