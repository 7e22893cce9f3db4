#include "api/answer.hpp"
#include "api/completion_request.hpp"
#include "api/completion_writer.hpp"
#include "api/generation_start.hpp"

namespace hf::api {

void completions(const std::shared_ptr<Service>& service, Call call) {
  const auto body = read_body(call);
  if (!body) return answer_fault(call, body.error());
  auto request = read_completion(*service, call.caller, body->root(), call.language);
  if (!request) return answer_fault(call, request.error());
  auto& plan = request->plan;
  CompletionForm form{.logprobs = plan.request.sampling.logprobs >= 0,
                      .include_usage = request->include_usage,
                      .echoes = std::move(request->echoes),
                      .choices_per_prompt = plan.request.choices};
  start_generation(service, std::move(call), std::move(plan),
                   make_completion_writer(std::move(form)));
}

}  // namespace hf::api
