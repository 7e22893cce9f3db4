#pragma once
// Reads the beginning of a tool call, up to where its arguments start, from text that may still be
// incomplete. Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat/output_parser.hpp"

namespace hf::chat {

namespace marker {
inline constexpr std::string_view kThinkOpen = "<think>";
inline constexpr std::string_view kThinkClose = "</think>";
inline constexpr std::string_view kHermesOpen = "<tool_call>";
inline constexpr std::string_view kHermesClose = "</tool_call>";
inline constexpr std::string_view kPythonTag = "<|python_tag|>";
inline constexpr std::string_view kMistralCalls = "[TOOL_CALLS]";
inline constexpr std::string_view kMistralArguments = "[ARGS]";
inline constexpr std::string_view kMistralCallId = "[CALL_ID]";
inline constexpr std::string_view kDeepseekCalls = "<｜tool▁calls▁begin｜>";
inline constexpr std::string_view kDeepseekCallsEnd = "<｜tool▁calls▁end｜>";
inline constexpr std::string_view kDeepseekCall = "<｜tool▁call▁begin｜>";
inline constexpr std::string_view kDeepseekCallEnd = "<｜tool▁call▁end｜>";
inline constexpr std::string_view kDeepseekSeparator = "<｜tool▁sep｜>";
inline constexpr std::string_view kFence = "```";
}  // namespace marker

/// Ways in which a Llama 3 call may begin in the middle of an answer.
inline constexpr std::string_view kLlamaStarts[] = {R"({"name": ")", R"({"name":")",
                                                    R"({"type": "function", "name": ")"};

/// Strings that begin a tool call inside content.
std::vector<std::string_view> call_starts(ToolStyle style);

enum class HeadState : std::uint8_t {
  incomplete,  ///< More text decides.
  malformed,   ///< This is no tool call.
  streaming,   ///< `consumed` ends just before the arguments' '{'.
  complete,    ///< `consumed` ends after the call's object; `arguments` has them whole.
};

struct CallHead {
  HeadState state = HeadState::incomplete;
  std::size_t consumed = 0;
  std::string name = {};
  std::string arguments = {};
  bool in_object = false;  ///< The arguments are a member of an object that must be closed yet.
  bool in_array = false;   ///< More calls may follow in the same array.
};

/// A call of which more than this was needed to see its name and arguments is malformed.
inline constexpr std::size_t kHeadBytesMax = std::size_t{256} << 10U;

/// `text` begins with the marker or, for llama3, with '{'.
CallHead read_call_head(ToolStyle style, std::string_view text);
/// `text` begins with the next object of the same array or list.
CallHead read_next_object(std::string_view text, bool in_array);

enum class TailState : std::uint8_t { incomplete, malformed, closed };
struct ObjectTail {
  TailState state = TailState::incomplete;
  std::size_t consumed = 0;
};
/// What follows the arguments in a call's object: ignored members and '}'.
ObjectTail read_object_tail(std::string_view text);

bool is_tool_name(std::string_view name);

}  // namespace hf::chat
