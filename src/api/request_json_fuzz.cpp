// Any bytes as a request: the tree keeps its promises, and each endpoint's reader answers.
#include <cstdint>
#include <string>

#include "api/generation_scene.hpp"
#include "api/json.hpp"
#include "api/json_writer.hpp"

namespace hf::api {
namespace {

void walk(Json value) {
  HF_ASSERT(!value.raw().empty());
  if (value.is(JsonKind::string)) {
    std::string written;
    append_json_string(written, value.text());
    const auto again = JsonDocument::parse(written);
    HF_ASSERT(again && again->root().text() == value.text());
  }
  if (!value.is(JsonKind::array) && !value.is(JsonKind::object)) return;
  std::size_t count = 0;
  for (const auto item : value) {
    ++count;
    walk(item);
  }
  HF_ASSERT(count == value.size());
}

void ask(Endpoint endpoint, const std::string& body) {
  test::Scene scene;
  scene.service->options.default_model = "m";
  const auto sink = scene.send(endpoint, body);
  HF_ASSERT(sink->response.has_value() == scene.models.asked.empty());
  if (sink->response) HF_ASSERT(JsonDocument::parse(sink->body()));
}

}  // namespace
}  // namespace hf::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string body(reinterpret_cast<const char*>(bytes), size);
  if (const auto document = hf::api::JsonDocument::parse(body)) hf::api::walk(document->root());
  for (const auto endpoint :
       {hf::api::chat_completions, hf::api::completions, hf::api::responses}) {
    hf::api::ask(endpoint, body);
  }
  return 0;
}
