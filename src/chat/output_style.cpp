#include <algorithm>
#include <string_view>

#include "chat/call_head.hpp"
#include "chat/output_parser.hpp"

namespace hf::chat {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

ToolStyle tool_style(std::string_view source) {
  if (!contains(source, "tools") && !contains(source, "tool_calls")) return ToolStyle::generic;
  if (contains(source, marker::kDeepseekCall)) return ToolStyle::deepseek;
  if (contains(source, marker::kMistralCalls)) return ToolStyle::mistral;
  if (contains(source, marker::kHermesOpen)) return ToolStyle::hermes;
  const bool llama_turns = contains(source, "<|start_header_id|>") &&
                           (contains(source, "\"parameters\"") || contains(source, "parameters"));
  if (contains(source, marker::kPythonTag) || llama_turns) return ToolStyle::llama3;
  return ToolStyle::generic;
}

}  // namespace

OutputStyle detect_style(std::string_view template_source) {
  OutputStyle style;
  if (template_source.empty()) return style;
  style.tools = tool_style(template_source);
  if (contains(template_source, marker::kThinkOpen) ||
      contains(template_source, marker::kThinkClose)) {
    style.reasoning = ReasoningStyle::think_tags;
  }
  return style;
}

bool ends_in_reasoning(std::string_view rendered_prompt) {
  const auto last = rendered_prompt.find_last_not_of(" \n\r\t");
  if (last == std::string_view::npos) return false;
  return rendered_prompt.substr(0, last + 1).ends_with(marker::kThinkOpen);
}

std::vector<std::string> output_markers(const OutputStyle& style) {
  std::vector<std::string_view> found;
  if (style.reasoning == ReasoningStyle::think_tags) {
    found = {marker::kThinkOpen, marker::kThinkClose};
  }
  const auto add = [&found](std::initializer_list<std::string_view> more) {
    found.insert(found.end(), more);
  };
  switch (style.tools) {
    case ToolStyle::hermes:
    case ToolStyle::generic:
      add({marker::kHermesOpen, marker::kHermesClose});
      break;
    case ToolStyle::llama3:
      add({marker::kPythonTag});
      break;
    case ToolStyle::mistral:
      add({marker::kMistralCalls, marker::kMistralArguments, marker::kMistralCallId});
      break;
    case ToolStyle::deepseek:
      add({marker::kDeepseekCalls, marker::kDeepseekCallsEnd, marker::kDeepseekCall,
           marker::kDeepseekCallEnd, marker::kDeepseekSeparator});
      break;
    case ToolStyle::none:
      break;
  }
  return {found.begin(), found.end()};
}

}  // namespace hf::chat
