// Any model text, cut anywhere, in each form: every event is JSON on one line, and what a client
// puts together is what the whole answer has.
#include <cstdint>
#include <string>

#include "api/generation_scene.hpp"
#include "api/json.hpp"
#include "base/utf8.hpp"

namespace {

namespace scene = hf::api::test;

constexpr std::string_view kChat = R"({"model":"m","messages":[{"role":"user","content":"x"}],)"
                                   R"("tools":[{"type":"function","function":{"name":"add"}}])";
constexpr std::string_view kResponses =
    R"({"model":"m","input":"x","tools":[{"type":"function","name":"add"}])";
constexpr std::string_view kCompletion = R"({"model":"m","prompt":"x")";

struct Form {
  hf::api::Endpoint endpoint;
  std::string_view request;
  std::string_view whole;  // Where the text is in a whole answer.
  std::string_view piece;  // And in an event.
};

std::shared_ptr<scene::CollectingSink> played(const Form& form, std::string_view more,
                                              const scene::Script& script) {
  scene::Scene stage;
  stage.template_is("{{ tools }} <tool_call> <think>");
  const auto sink = stage.send(form.endpoint, std::string(form.request) + std::string(more));
  stage.models.play(script);
  return sink;
}

void check(const Form& form, const scene::Script& script) {
  const auto whole = played(form, "}", script);
  HF_ASSERT(whole->response && whole->response->status == 200);
  const auto streamed = played(form, R"(,"stream":true})", script);
  HF_ASSERT(streamed->finished);
  for (const auto& event : streamed->events()) {
    HF_ASSERT(event == "[DONE]" || hf::api::JsonDocument::parse(event));
  }
  auto expected = scene::at(whole->body(), form.whole);
  if (expected == "null" || expected == "(none)") expected.clear();
  if (!form.piece.empty()) HF_ASSERT(scene::joined(*streamed, form.piece) == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 1) return 0;
  const auto step = 1 + bytes[0] % 16U;
  const auto text = hf::utf8::repaired({reinterpret_cast<const char*>(bytes) + 1, size - 1});
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.size(), at + step);
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
    pieces.push_back(text.substr(at, end - at));
    at = end;
  }
  const auto script = scene::says(pieces);
  check({hf::api::chat_completions, kChat, "choices.0.message.content", "choices.0.delta.content"},
        script);
  check({hf::api::completions, kCompletion, "choices.0.text", "choices.0.text"}, script);
  check({hf::api::responses, kResponses, "status", ""}, script);
  return 0;
}
