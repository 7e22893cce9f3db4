#pragma once
// Regular expressions (the common subset of ECMAScript) to GBNF. Pure, any thread.

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "grammar/code_points.hpp"
#include "grammar/grammar.hpp"

namespace hf::grammar {

enum class RegexTarget : unsigned char {
  whole_text,   ///< The text as it is; it matches from end to end, anchored or not.
  json_string,  ///< The inside of a JSON string, escapes written out; free where not anchored.
};

/// One GBNF expression in parentheses. `any_char`: the GBNF for one JSON character, used where a
/// json_string pattern is not anchored.
/// Errors: invalid_argument with the offset in bytes; lookaround, backreferences, word boundaries,
/// flags and Unicode properties are refused by name. Lazy quantifiers match as greedy ones.
Result<std::string> regex_to_gbnf(std::string_view pattern, RegexTarget target,
                                  std::string_view any_char, const Limits& limits);

/// One character of `set` as it stands inside a JSON string. Not for the empty set.
std::string json_class(const CodePointSet& set);

}  // namespace hf::grammar
