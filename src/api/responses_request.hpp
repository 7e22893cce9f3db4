#pragma once
// The request of /v1/responses, read and checked. Any thread.

#include "api/fields.hpp"
#include "api/generation_plan.hpp"
#include "api/responses_form.hpp"
#include "api/service.hpp"

namespace hf::api {

struct ResponsesRequest {
  GenerationPlan plan = {};
  ResponsesForm form = {};
};

/// Each member is honoured or refused by name; whatever needs stored answers is refused.
/// Faults: invalid_argument; permission_denied, the priority.
Checked<ResponsesRequest> read_responses(const Service& service, const Caller& caller, Json body,
                                         Language language);

/// `instructions` and `input` as an array of chat messages. An assistant's text, reasoning and
/// calls that follow each other become one message, as chat templates have it.
std::string read_input(Fields& fields);

}  // namespace hf::api
