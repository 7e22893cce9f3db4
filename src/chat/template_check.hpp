#pragma once
// What a template's source may look like before the Jinja engine sees it: the engine parses by
// recursion and by regular expressions that recurse too. Pure; any thread.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hf::chat {

struct TemplateLimits {
  std::size_t source_bytes_max = std::size_t{1} << 20U;
  std::size_t nesting_max = 100;     ///< Brackets in one tag, and blocks in blocks.
  std::size_t tag_words_max = 1000;  ///< Words, numbers and signs in one tag.
  std::size_t run_bytes_max = 1000;  ///< One word, or white space without a break.
};

/// The source with its comments emptied (they may be long; their spacing signs stay).
/// Errors: invalid_argument with the limit.
Result<std::string> checked_template(std::string_view source, const TemplateLimits& limits = {});

}  // namespace hf::chat
