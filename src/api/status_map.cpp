#include "api/fault.hpp"
#include "api/json_writer.hpp"

namespace hf::api {
namespace {

WireFault by_code(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
      return {400, "invalid_request_error", {}};
    case Errc::unauthenticated:
      return {401, "invalid_request_error", "invalid_api_key"};
    case Errc::permission_denied:
      return {403, "invalid_request_error", "insufficient_permissions"};
    case Errc::not_found:
      return {404, "invalid_request_error", "not_found"};
    case Errc::already_exists:
      return {409, "invalid_request_error", "already_exists"};
    case Errc::failed_precondition:
      return {409, "invalid_request_error", "failed_precondition"};
    case Errc::resource_exhausted:
      return {429, "rate_limit_error", "rate_limit_exceeded"};
    case Errc::cancelled:
      return {499, "server_error", "cancelled"};
    case Errc::deadline_exceeded:
      return {504, "server_error", "timeout"};
    case Errc::unavailable:
      return {503, "server_error", "service_unavailable"};
    case Errc::data_corrupt:
      return {500, "server_error", "data_corrupt"};
    case Errc::unimplemented:
      return {501, "invalid_request_error", "not_implemented"};
    case Errc::internal:
      return {500, "server_error", "internal_error"};
  }
  return {500, "server_error", "internal_error"};
}

// Errors that come from the engine as sentences.
std::string_view engine_code(const Error& error) {
  if (error.code == Errc::invalid_argument && error.message.contains("maximum context length")) {
    return "context_length_exceeded";
  }
  if (error.code == Errc::not_found && error.param == "model") return "model_not_found";
  return {};
}

}  // namespace

WireFault status_of(const Fault& fault) {
  auto found = by_code(fault.error.code);
  if (const auto code = engine_code(fault.error); !code.empty()) found.code = code;
  if (!fault.code.empty()) found.code = fault.code;
  return found;
}

std::string fault_json(const Fault& fault) {
  const auto wire = status_of(fault);
  std::string out;
  JsonWriter json(out);
  json.open_object().key("error").open_object();
  json.member("message", fault.error.message).member("type", wire.type);
  fault.error.param.empty() ? json.member_null("param") : json.member("param", fault.error.param);
  wire.code.empty() ? json.member_null("code") : json.member("code", wire.code);
  json.close_object().close_object();
  return out;
}

HttpResponse fault_response(const Fault& fault, unsigned retry_seconds) {
  HttpResponse response{.status = status_of(fault).status, .body = fault_json(fault)};
  if (response.status == 429 || response.status == 503) {
    response.headers.emplace_back("retry-after", std::to_string(retry_seconds));
  }
  if (response.status == 401) response.headers.emplace_back("www-authenticate", "Bearer");
  return response;
}

}  // namespace hf::api
