#pragma once
// Makes room in an answer's grammar for the reasoning that comes before the answer. Pure.

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "wire/messages.hpp"

namespace hf::api {

enum class RulesBy : std::uint8_t { server, caller };

/// The grammar holds from the first token on.
bool binds_from_start(const wire::Grammar& grammar);

/// The grammar with reasoning allowed before it, as `rendered_prompt` asks: behind an open <think>
/// the reasoning goes on first; behind a closed one there is none; else it may come.
/// GBNF that the caller wrote only follows an open reasoning, and where none is open it bars it.
/// Errors: as the grammar's own.
Result<wire::Grammar> with_reasoning(wire::Grammar grammar, RulesBy author,
                                     std::string_view rendered_prompt);

}  // namespace hf::api
