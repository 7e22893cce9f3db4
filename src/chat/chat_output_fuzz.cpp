// Any text in any style, cut anywhere: the parser gives the same deltas and loses no plain text.
#include <cstdint>
#include <string>

#include "chat/output_parser.hpp"

namespace {

struct Whole {
  std::string text;
  std::uint32_t calls = 0;
  bool operator==(const Whole&) const = default;
};

Whole parse(hf::chat::OutputStyle style, bool tools, std::string_view text, std::size_t step) {
  hf::chat::OutputParser parser(style, tools, "fuzz");
  std::string reasoning;
  std::string content;
  std::string calls;
  const auto add = [&](const hf::chat::OutputDelta& delta) {
    reasoning += delta.reasoning;
    content += delta.content;
    for (const auto& call : delta.tool_calls) {
      if (!call.id.empty()) calls += "\n" + call.id + call.name;
      calls += call.arguments;
    }
  };
  for (std::size_t at = 0; at < text.size(); at += step) add(parser.feed(text.substr(at, step)));
  add(parser.finish());
  return {reasoning + '\0' + content + '\0' + calls, parser.tool_calls()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 2, size - 2);
  const hf::chat::OutputStyle style{.tools = static_cast<hf::chat::ToolStyle>(bytes[0] % 6),
                                    .reasoning = (bytes[1] & 1U) != 0
                                                     ? hf::chat::ReasoningStyle::think_tags
                                                     : hf::chat::ReasoningStyle::none,
                                    .reasoning_open = (bytes[1] & 2U) != 0};
  const bool tools = (bytes[1] & 4U) == 0;
  const auto whole = parse(style, tools, text, text.size() + 1);
  HF_ASSERT(whole == parse(style, tools, text, 1));
  HF_ASSERT(whole == parse(style, tools, text, 2 + bytes[1] / 16U));
  return 0;
}
