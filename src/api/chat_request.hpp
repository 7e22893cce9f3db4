#pragma once
// The request of /v1/chat/completions, read and checked. Any thread.

#include "api/fields.hpp"
#include "api/generation_plan.hpp"
#include "api/service.hpp"

namespace hf::api {

struct ChatRequest {
  GenerationPlan plan = {};
  bool include_usage = false;
};

/// Each member is honoured or refused by name.
/// Faults: invalid_argument; permission_denied, the priority.
Checked<ChatRequest> read_chat(const Service& service, const Caller& caller, Json body,
                               Language language);

/// Template variables from `chat_template_kwargs` and a reasoning effort; "" if there are none.
std::string template_arguments(Fields& fields, std::string_view effort);
/// The words OpenAI has for the effort.
std::optional<std::string> read_effort(Fields& fields, std::string_view name);

}  // namespace hf::api
