#include "api/answer.hpp"

#include <format>
#include <utility>

#include "base/digest.hpp"
#include "base/log.hpp"

namespace hf::api {
namespace {

constexpr std::size_t kIdBytes = 12;

}  // namespace

void answer_fault(const Call& call, const Fault& fault) {
  auto response = fault_response(fault);
  if (response.status >= 500) {
    const auto& request = call.request;
    log::failure(std::format("request {} {} {}", request.id, request.path, response.status),
                 fault.error);
  }
  call.sink->respond(std::move(response));
}

void answer_json(const Call& call, std::string json, int status) {
  call.sink->respond({.status = status, .body = std::move(json)});
}

Checked<JsonDocument> read_body(Call& call) {
  if (call.request.body.empty()) {
    return refuse({}, std::string(pattern(call.language, TextId::body_empty)), "invalid_json");
  }
  auto document = JsonDocument::parse(std::exchange(call.request.body, {}));
  if (!document) {
    const auto& fault = document.error();
    auto words = say(call.language, TextId::bad_json, trouble_text(call.language, fault.trouble),
                     fault.line, fault.column);
    return refuse({}, std::move(words), "invalid_json");
  }
  return *std::move(document);
}

std::string chosen_model(const Service& service, Fields& fields) {
  std::string name;
  fields.text("model", name);
  if (!fields.good()) return {};
  if (name.empty()) name = service.options.default_model;
  if (!name.empty()) return name;
  std::string known;
  for (const auto& model : service.models.models()) {
    if (!known.empty()) known += ", ";
    known += model.name;
  }
  fields.fail_with("model", say(fields.language(), TextId::model_missing, known),
                   "missing_required_parameter");
  return {};
}

bool query_has(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto item = query.substr(0, end);
    if (item.substr(0, item.find('=')) == name) return true;
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
  }
  return false;
}

std::string new_answer_id(std::string_view start) {
  return std::string(start) + hex(random_bytes(kIdBytes));
}

}  // namespace hf::api
