#pragma once
// Token ids in requests. Any thread.

#include <string>
#include <string_view>
#include <vector>

#include "api/fields.hpp"
#include "wire/messages.hpp"

namespace hf::api {

/// The array's token ids; anything else in it is a fault of `fields` at `name`.
std::vector<wire::Token> read_tokens(Fields& fields, std::string_view name, Json array);

/// The first of `tokens` that is outside the vocabulary, in words; empty: none.
std::string outside_vocabulary(const std::vector<wire::Token>& tokens, std::uint32_t vocabulary,
                               std::string_view name, Language language);

}  // namespace hf::api
