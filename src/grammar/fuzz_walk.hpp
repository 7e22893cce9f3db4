#pragma once
// Shared by the fuzz targets: compile and walk the matcher a few steps over a tiny vocabulary.

#include <string>
#include <string_view>

#include "grammar/grammar.hpp"

namespace hf::grammar {

inline void walk_a_few_steps(wire::GrammarKind kind, std::string_view text) {
  constexpr Token kEnd = 5;
  const Limits limits{.source_bytes_max = 4096, .rules_max = 500, .elements_max = 20'000, .repeat_max = 500};
  const auto grammar = compile({.kind = kind, .text = std::string(text)}, limits);
  if (!grammar) return;
  static const TokenTable tokens({"a", "\"", "{\"", "1", "\xC3\xA9", "", "}", "x\":", "[", "]"}, {kEnd});
  const auto matcher = make_matcher(*grammar, tokens, limits);
  for (std::size_t step = 0; step < 12; ++step) {
    const auto word = matcher->mask().front();
    Token chosen = -1;
    for (Token token = 0; static_cast<std::size_t>(token) < tokens.vocabulary(); ++token) {
      const bool allowed = ((word >> static_cast<unsigned>(token)) & 1U) != 0;
      HF_ASSERT(allowed == matcher->allows(token));
      if (allowed && token != kEnd && (chosen < 0 || (static_cast<std::size_t>(token) + step) % 3 == 0)) chosen = token;
    }
    HF_ASSERT(!matcher->must_end() || matcher->can_end());
    if (chosen < 0) return;
    HF_ASSERT(matcher->accept(chosen).has_value());
  }
}

}  // namespace hf::grammar
