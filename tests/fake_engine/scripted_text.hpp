#pragma once
// What the fake engine says: a function of prompt, adapter, choice and position, so that tests can
// tell a lost, doubled or foreign token. Used by the program and by the tests of inference.

#include <cstdint>
#include <format>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/messages.hpp"

namespace hf::fake {

inline constexpr std::uint32_t kDefaultTokens = 16;
inline constexpr std::uint32_t kFirstCachedTokens = 3;

inline std::vector<wire::Token> tokens_of(std::string_view text) {
  return {text.begin(), text.end()};
}

inline wire::Token token_at(std::span<const wire::Token> prompt, std::string_view adapter,
                            std::uint32_t choice, std::uint32_t index) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3; };
  for (const auto token : prompt) mix(static_cast<std::uint64_t>(token));
  for (const auto c : adapter) mix(static_cast<unsigned char>(c));
  mix(choice + 1000U);
  mix(index + 5000U);
  return static_cast<wire::Token>((hash >> 20U) % 50000U);
}

inline std::string piece_of(wire::Token token) {
  return std::format("w{} ", token);
}

/// Every third token's text waits for the next token, as text before a possible stop string does.
inline bool holds_back(wire::Token token) {
  return token % 3 == 0;
}

/// Text that has been sent once `tokens` are known; `ended`: nothing is held back.
inline std::string text_after(std::span<const wire::Token> tokens, bool ended) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!ended && i + 1 == tokens.size() && holds_back(tokens[i])) break;
    text += piece_of(tokens[i]);
  }
  return text;
}

}  // namespace hf::fake
