#include "api/answer.hpp"
#include "api/chat_request.hpp"
#include "api/chat_writer.hpp"
#include "api/generation_start.hpp"

namespace hf::api {

void chat_completions(const std::shared_ptr<Service>& service, Call call) {
  const auto body = read_body(call);
  if (!body) return answer_fault(call, body.error());
  auto request = read_chat(*service, call.caller, body->root(), call.language);
  if (!request) return answer_fault(call, request.error());
  const ChatForm form{.logprobs = request->plan.request.sampling.logprobs >= 0,
                      .include_usage = request->include_usage};
  start_generation(service, std::move(call), std::move(request->plan), make_chat_writer(form));
}

}  // namespace hf::api
