#pragma once
// Checks the messages of a chat and passes them on. One thread.

#include <string>

#include "api/fields.hpp"

namespace hf::api {

/// The array as the engine takes it: what came, checked.
std::string read_messages(Fields& fields);

/// Refuses content parts that are no text. `parts`: an array at `name` of `fields`.
void check_parts(Fields& fields, std::string_view name, Json parts);

}  // namespace hf::api
