#pragma once
// Splits a model's text into reasoning, content and tool calls while it streams, for the styles
// models are trained on. Pure; one object per choice, one thread.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/messages.hpp"

namespace hf::chat {

enum class ToolStyle : std::uint8_t {
  none,
  hermes,    ///< <tool_call>{"name":..,"arguments":..}</tool_call>: Hermes, Qwen 2.5, Qwen 3.
  llama3,    ///< {"name":..,"parameters":..} as the whole answer, or after <|python_tag|>.
  mistral,   ///< [TOOL_CALLS][{"name":..,"arguments":..}] and [TOOL_CALLS]name[ARGS]{..}
  deepseek,  ///< <｜tool▁calls▁begin｜>...: DeepSeek V3 and R1.
  generic,   ///< Template without tools: instructions in the prompt, Hermes tags in the answer.
};

enum class ReasoningStyle : std::uint8_t { none, think_tags };

struct OutputStyle {
  ToolStyle tools = ToolStyle::none;
  ReasoningStyle reasoning = ReasoningStyle::none;
  /// The rendered prompt ends inside an opened <think>, so the answer begins with reasoning.
  bool reasoning_open = false;
};

/// Reads the style from a chat template's source.
OutputStyle detect_style(std::string_view template_source);
/// Texts by which the parser finds its way. A model may have them as control tokens: the engine
/// must still give them out as text, and let a grammar use them as tokens.
std::vector<std::string> output_markers(const OutputStyle& style);
/// True if a rendered prompt ends with an opened <think>.
bool ends_in_reasoning(std::string_view rendered_prompt);

struct ToolCallDelta {
  std::uint32_t index = 0;
  std::string id = {};         ///< "call_" + 24 letters and digits; only in a call's first delta.
  std::string name = {};       ///< Only in a call's first delta.
  std::string arguments = {};  ///< JSON text, appended.
};

struct OutputDelta {
  std::string reasoning = {};
  std::string content = {};
  std::vector<ToolCallDelta> tool_calls = {};
};

/// feed() the text pieces as they come, then finish() once. The concatenation of all deltas does
/// not depend on how the text was cut. A malformed tool call is given as content; arguments stream
/// as soon as the call's name is known, so where JSON breaks off only later, what was streamed
/// stays and the rest is content. White space around reasoning and tool calls is dropped.
class OutputParser {
 public:
  /// `tools_allowed` false: tool syntax is plain content. `id_seed` makes call ids (resume-safe).
  OutputParser(OutputStyle style, bool tools_allowed, std::string id_seed);
  ~OutputParser();
  OutputParser(OutputParser&&) noexcept;
  OutputDelta feed(std::string_view text);
  OutputDelta finish();
  [[nodiscard]] std::uint32_t tool_calls() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

enum class ToolChoice : std::uint8_t { automatic, none, required, named };

/// Grammar that makes tool calls in `style` parse: with `triggers` for automatic, from the first
/// token for required and named. `tools_json`: OpenAI tools; parameters schemas are compiled in.
/// A tool without `strict` whose schema cannot be compiled takes any JSON object. `parallel` bounds
/// required and named; for automatic the caller ends the answer after the first call. Where a
/// prompt ends in reasoning, the grammar of required and named must begin to hold behind
/// "</think>".
/// Errors: invalid_argument with the tool's name and the schema's place.
Result<wire::Grammar> tool_call_grammar(ToolStyle style, std::string_view tools_json,
                                        ToolChoice choice, std::string_view named_tool,
                                        bool parallel);

/// For ToolStyle::generic: messages with the tools described in a system message and tool results
/// turned into user text, since the template itself knows no tools. TemplateRenderer does it by
/// itself where needed; doing it before changes nothing.
Result<std::string> with_tools_in_prompt(std::string_view messages_json,
                                         std::string_view tools_json);

}  // namespace hf::chat
