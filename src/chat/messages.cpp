#include "chat/messages.hpp"

#include <algorithm>
#include <format>

#include "base/digest.hpp"
#include "chat/json_scan.hpp"

namespace hf::chat {
namespace {

std::string place(std::size_t message) {
  return std::format("messages[{}]", message);
}

// Text parts joined by line breaks, as one string.
Result<Json> joined_parts(const Json& parts, const std::string& where) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& part = parts[i];
    const auto param = std::format("{}.content[{}]", where, i);
    const auto type = part.is_object() ? part.value("type", Json()) : Json();
    if (!type.is_string()) return fail_at(param, std::format("{} has no type.", param));
    const auto name = type.get<std::string>();
    const auto* key = name == "refusal" ? "refusal" : "text";
    if (name != "text" && name != "input_text" && name != "output_text" && name != "refusal") {
      return fail_at(param, std::format("{} is not text; this model reads only text, so send parts "
                                        "of type text.",
                                        param));
    }
    if (!part.contains(key) || !part[key].is_string()) {
      return fail_at(param, std::format("{} must have a string in '{}'.", param, key));
    }
    if (!text.empty()) text += '\n';
    text += part[key].get_ref<const std::string&>();
  }
  return Json(std::move(text));
}

Result<void> check_calls(const Json& calls, const std::string& where) {
  if (!calls.is_array()) {
    return fail_at(where + ".tool_calls", where + ".tool_calls must be an array.");
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto param = std::format("{}.tool_calls[{}].function", where, i);
    const auto& call = calls[i];
    const bool named = call.is_object() && call.contains("function") &&
                       call["function"].is_object() && call["function"].contains("name") &&
                       call["function"]["name"].is_string();
    if (!named) return fail_at(param, param + " must be an object with a name.");
  }
  return {};
}

Result<void> read_message(Json& message, std::size_t index) {
  const auto where = place(index);
  if (!message.is_object()) return fail_at(where, where + " must be an object.");
  if (!message.contains("role") || !message["role"].is_string()) {
    return fail_at(where + ".role", where + ".role must be a string.");
  }
  if (message.contains("tool_calls")) {
    auto& calls = message["tool_calls"];
    if (calls.is_null() || (calls.is_array() && calls.empty())) {
      message.erase("tool_calls");
    } else {
      HF_TRY_VOID(check_calls(calls, where));
    }
  }
  if (!message.contains("content")) message["content"] = nullptr;
  auto& content = message["content"];
  if (content.is_array()) content = HF_TRY(joined_parts(content, where));
  if (content.is_null() && !message.contains("tool_calls")) content = "";
  if (!content.is_string() && !content.is_null()) {
    return fail_at(where + ".content",
                   where + ".content must be a string or an array of text parts.");
  }
  return {};
}

// Nine letters and digits that stand for a longer id.
std::string short_id(const std::string& id) {
  const bool fits =
      id.size() == 9 && std::ranges::all_of(id, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      });
  return fits ? id : sha256_hex(id).substr(0, 9);
}

void shorten_id(Json& object, const char* key) {
  if (object.contains(key) && object[key].is_string()) {
    object[key] = short_id(object[key].get<std::string>());
  }
}

Result<void> shape_calls(Json& message, std::size_t index, const TemplateTraits& traits) {
  auto& calls = message["tool_calls"];
  for (std::size_t i = 0; i < calls.size(); ++i) {
    auto& call = calls[i];
    if (!call.contains("type")) call["type"] = "function";
    if (traits.short_call_ids) shorten_id(call, "id");
    auto& function = call["function"];
    auto arguments = function.value("arguments", Json());
    if (arguments.is_string()) {
      const auto& text = arguments.get_ref<const std::string&>();
      arguments = text.empty() ? Json::object() : Json::parse(text, nullptr, false);
    } else if (arguments.is_null()) {
      arguments = Json::object();
    }
    if (!arguments.is_object()) {
      const auto param = std::format("{}.tool_calls[{}].function.arguments", place(index), i);
      return fail_at(param, param + " must be a JSON object written as a string.");
    }
    // A string that is valid already stays as the caller wrote it.
    if (traits.object_arguments) {
      function["arguments"] = std::move(arguments);
    } else if (!function.contains("arguments") || !function["arguments"].is_string() ||
               function["arguments"].get_ref<const std::string&>().empty()) {
      function["arguments"] = arguments.dump();
    }
  }
  return {};
}

// Puts system text before the next user's text, for templates that refuse the system role.
void merge_system(Json& messages) {
  auto merged = Json::array();
  std::string pending;
  for (auto& message : messages) {
    const auto role = message["role"].get<std::string>();
    const bool text = message["content"].is_string();
    if (role == "system" && text) {
      if (!pending.empty()) pending += '\n';
      pending += message["content"].get_ref<const std::string&>();
      continue;
    }
    if (!pending.empty() && role == "user" && text) {
      message["content"] = pending + "\n\n" + message["content"].get<std::string>();
    } else if (!pending.empty()) {
      merged.push_back({{"role", "user"}, {"content", pending}});
    }
    pending.clear();
    merged.push_back(std::move(message));
  }
  if (!pending.empty()) merged.push_back({{"role", "user"}, {"content", pending}});
  messages = std::move(merged);
}

}  // namespace

std::unexpected<Error> fail_at(std::string param, std::string message) {
  return std::unexpected(Error{Errc::invalid_argument, std::move(message), {}, std::move(param)});
}

Result<Json> parse_json(std::string_view text, std::string_view what) {
  const std::string param(what);
  if (!json_depth_ok(text)) {
    return fail_at(
        param, std::format("{} is nested deeper than {} levels; flatten it.", what, kJsonDepthMax));
  }
  auto json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail_at(param, std::format("{} is not valid JSON.", what));
  return json;
}

Result<Json> read_messages(std::string_view messages_json) {
  auto messages = HF_TRY(parse_json(messages_json, "messages"));
  if (!messages.is_array() || messages.empty()) {
    return fail_at("messages", "messages must be an array with at least one message.");
  }
  for (std::size_t i = 0; i < messages.size(); ++i) HF_TRY_VOID(read_message(messages[i], i));
  return messages;
}

Result<Json> read_tools(std::string_view tools_json) {
  if (tools_json.empty()) return Json();
  auto tools = HF_TRY(parse_json(tools_json, "tools"));
  if (tools.is_null()) return Json();
  if (!tools.is_array()) return fail_at("tools", "tools must be an array.");
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const auto param = std::format("tools[{}]", i);
    const auto& tool = tools[i];
    const bool function = tool.is_object() && tool.value("type", Json("function")) == "function" &&
                          tool.contains("function") && tool["function"].is_object() &&
                          tool["function"].contains("name") && tool["function"]["name"].is_string();
    if (!function) {
      return fail_at(param, param + " must be of type function, with a function that has a name.");
    }
  }
  return tools.empty() ? Json() : tools;
}

Result<void> shape_messages(Json& messages, const TemplateTraits& traits) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto& message = messages[i];
    if (message["role"] == "developer" && !traits.developer_role) message["role"] = "system";
    if (message.contains("tool_calls")) HF_TRY_VOID(shape_calls(message, i, traits));
    if (traits.short_call_ids) shorten_id(message, "tool_call_id");
  }
  if (!traits.system_role) merge_system(messages);
  for (auto& message : messages) {
    auto& content = message["content"];
    if (content.is_null() && traits.non_null_content) content = "";
    if (content.is_string() && traits.typed_content) {
      auto text = std::move(content);
      content = Json::array({{{"type", "text"}, {"text", std::move(text)}}});
    }
  }
  return {};
}

}  // namespace hf::chat
