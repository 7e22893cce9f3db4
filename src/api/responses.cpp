#include "api/answer.hpp"
#include "api/generation_start.hpp"
#include "api/responses_request.hpp"
#include "api/responses_writer.hpp"

namespace hf::api {

void responses(const std::shared_ptr<Service>& service, Call call) {
  const auto body = read_body(call);
  if (!body) return answer_fault(call, body.error());
  auto request = read_responses(*service, call.caller, body->root(), call.language);
  if (!request) return answer_fault(call, request.error());
  start_generation(service, std::move(call), std::move(request->plan),
                   make_responses_writer(std::move(request->form)));
}

}  // namespace hf::api
