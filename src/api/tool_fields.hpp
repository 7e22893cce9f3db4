#pragma once
// tools, tool_choice and parallel_tool_calls, in the chat form {"type":"function","function":{..}}
// and in the flat form of responses. One thread.

#include "api/fields.hpp"
#include "api/generation_plan.hpp"

namespace hf::api {

enum class ToolForm : std::uint8_t { nested, flat };

/// With tool_choice "none" no tools are offered to the model.
void read_tools(Fields& fields, ToolForm form, ToolPlan& plan);

/// 1 to 64 letters, digits, '_' or '-'.
bool valid_function_name(std::string_view name);

}  // namespace hf::api
