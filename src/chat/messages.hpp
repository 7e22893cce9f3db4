#pragma once
// OpenAI chat messages as JSON values, checked and brought into the form templates expect. Included
// by .cpp files of this module only, since it needs the JSON library.

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.hpp"

namespace hf::chat {

using Json = nlohmann::ordered_json;

/// Parses bounded JSON. `what` names it in the error.
Result<Json> parse_json(std::string_view text, std::string_view what);

/// Array of messages, each with a role; content parts are joined to one string; parts other than
/// text are refused. Errors: invalid_argument with `param`.
Result<Json> read_messages(std::string_view messages_json);

/// Empty: null. Else an array of {"type": "function", "function": {"name": ..}}, or null if empty.
Result<Json> read_tools(std::string_view tools_json);

/// What a template can do, found out by rendering small conversations.
struct TemplateTraits {
  bool system_role = true;
  bool tools = false;
  bool typed_content = false;     ///< Wants content as an array of parts.
  bool object_arguments = false;  ///< Wants tool call arguments as objects, not as JSON text.
  bool non_null_content = false;  ///< Fails on null content.
  bool developer_role = false;
  bool short_call_ids = false;  ///< Mistral: exactly nine letters and digits.
};

/// Brings messages into the form a template with these traits expects.
/// Errors: invalid_argument, arguments that are no JSON object.
Result<void> shape_messages(Json& messages, const TemplateTraits& traits);

/// with_tools_in_prompt on values.
Result<Json> tools_in_prompt(Json messages, const Json& tools);

std::unexpected<Error> fail_at(std::string param, std::string message);

}  // namespace hf::chat
