#pragma once
// UTF-8 checks and repair (RFC 3629). Pure functions, any thread.

#include <cstddef>
#include <string>
#include <string_view>

namespace hf::utf8 {

/// True if every byte belongs to a well-formed sequence (no surrogates, no overlong forms).
bool valid(std::string_view text);

/// Length in bytes of the longest prefix that is well-formed and complete; the rest is either an
/// unfinished sequence (see `unfinished`) or broken.
std::size_t valid_prefix(std::string_view text);

/// True if `tail` is a proper prefix of some well-formed sequence: more bytes may complete it.
bool unfinished(std::string_view tail);

/// Replaces each maximal broken part by U+FFFD, as the Unicode standard 3.9 advises.
std::string repaired(std::string_view text);

/// Appends one code point; values that are no scalar value become U+FFFD.
void append(std::string& out, char32_t code_point);

}  // namespace hf::utf8
