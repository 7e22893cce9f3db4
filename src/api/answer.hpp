#pragma once
// What the endpoints share: reading a request's object and answering it. Threads: any.

#include <string>
#include <string_view>

#include "api/fault.hpp"
#include "api/fields.hpp"
#include "api/json.hpp"
#include "api/service.hpp"

namespace hf::api {

/// Answers with the fault; its detail goes to the log only.
void answer_fault(const Call& call, const Fault& fault);
void answer_json(const Call& call, std::string json, int status = 200);

/// The body as JSON; the call's body is empty afterwards.
Checked<JsonDocument> read_body(Call& call);
/// Takes "model", or the default one. Empty, with a fault in `fields`, if there is neither.
std::string chosen_model(const Service& service, Fields& fields);

/// True for "name", "name=..." in a query string.
bool query_has(std::string_view query, std::string_view name);
/// "embd-" and 24 hex digits.
std::string new_answer_id(std::string_view start);

}  // namespace hf::api
