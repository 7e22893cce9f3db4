#include <format>
#include <map>

#include "chat/call_head.hpp"
#include "chat/messages.hpp"
#include "chat/output_parser.hpp"

namespace hf::chat {
namespace {

constexpr int kTypeDepthMax = 3;

std::string type_text(const Json& schema, int depth);

std::string object_text(const Json& schema, int depth) {
  const auto properties = schema.value("properties", Json::object());
  if (!properties.is_object() || properties.empty()) return "{}";
  const auto required = schema.value("required", Json::array());
  std::string text;
  for (const auto& [name, property] : properties.items()) {
    if (!text.empty()) text += ", ";
    text += std::format("\"{}\": {}", name, type_text(property, depth + 1));
    bool needed = false;
    for (const auto& item : required) needed = needed || item == name;
    if (!needed) text += " (optional)";
  }
  return "{" + text + "}";
}

std::string choice_text(const Json& values) {
  std::string text;
  for (const auto& value : values) {
    if (!text.empty()) text += " or ";
    text += value.dump();
  }
  return text;
}

// A schema in a few words: a small model copies these better than JSON Schema.
std::string type_text(const Json& schema, int depth) {
  if (!schema.is_object()) return "any";
  const auto type = schema.value("type", Json());
  std::string text = type.is_string() ? type.get<std::string>() : "any";
  if (schema.contains("enum") && schema["enum"].is_array()) {
    text = choice_text(schema["enum"]);
  } else if (text == "object" && depth < kTypeDepthMax) {
    text = object_text(schema, depth);
  } else if (text == "array" && depth < kTypeDepthMax && schema.contains("items")) {
    text = "[" + type_text(schema["items"], depth + 1) + ", ...]";
  }
  const auto about = schema.value("description", Json());
  if (depth > 0 && about.is_string() && !about.get_ref<const std::string&>().empty()) {
    text += " - " + about.get<std::string>();
  }
  return text;
}

std::string tool_text(const Json& tool) {
  const auto& function = tool["function"];
  const auto name = function["name"].get<std::string>();
  const auto about = function.value("description", Json());
  const auto parameters = function.value("parameters", Json::object());
  return std::format("- {}: {}\n  arguments: {}\n", name,
                     about.is_string() ? about.get<std::string>() : "",
                     object_text(parameters.is_object() ? parameters : Json::object(), 0));
}

std::string instructions(const Json& tools) {
  std::string text = "You can use these tools:\n";
  for (const auto& tool : tools) text += tool_text(tool);
  text +=
      "To use a tool, answer with nothing but this, filled in for that tool:\n"
      "<tool_call>{\"name\": \"TOOL\", \"arguments\": {\"ARGUMENT\": \"VALUE\"}}</tool_call>\n"
      "You then get its result. If no tool is needed, answer in plain words.";
  return text;
}

std::string call_text(const Json& call) {
  const auto& function = call["function"];
  const auto arguments = function.value("arguments", Json());
  auto text = arguments.is_string() ? arguments.get<std::string>() : arguments.dump();
  if (text.empty() || text == "null") text = "{}";
  return std::format("{}{{\"name\": {}, \"arguments\": {}}}{}", marker::kHermesOpen,
                     function["name"].dump(), text, marker::kHermesClose);
}

Json assistant_as_text(const Json& message, std::map<std::string, std::string>& names) {
  std::string text = message["content"].is_string() ? message["content"].get<std::string>() : "";
  for (const auto& call : message["tool_calls"]) {
    if (!text.empty()) text += '\n';
    text += call_text(call);
    if (call.contains("id") && call["id"].is_string()) {
      names[call["id"].get<std::string>()] = call["function"]["name"].get<std::string>();
    }
  }
  return {{"role", "assistant"}, {"content", std::move(text)}};
}

std::string result_text(const Json& message, const std::map<std::string, std::string>& names) {
  const auto id = message.value("tool_call_id", Json());
  const auto known = id.is_string() ? names.find(id.get<std::string>()) : names.end();
  auto text = known == names.end() ? std::string("Result of the tool: ")
                                   : std::format("Result of {}: ", known->second);
  if (message["content"].is_string()) text += message["content"].get_ref<const std::string&>();
  return text;
}

void add_instructions(Json& messages, const Json& tools) {
  auto& first = messages.front();
  const auto role = first["role"].get<std::string>();
  if ((role == "system" || role == "developer") && first["content"].is_string()) {
    first["content"] = first["content"].get<std::string>() + "\n\n" + instructions(tools);
  } else {
    // Named, or it would be read as a list of two values to insert.
    Json told = {{"role", "system"}, {"content", instructions(tools)}};
    messages.insert(messages.begin(), std::move(told));
  }
}

}  // namespace

Result<Json> tools_in_prompt(Json messages, const Json& tools) {
  auto shaped = Json::array();
  std::map<std::string, std::string> names;
  bool results = false;  // The last message holds results of tools.
  for (auto& message : messages) {
    const bool tool = message["role"] == "tool";
    if (tool && results) {
      auto& content = shaped.back()["content"];
      content = content.get<std::string>() + "\n" + result_text(message, names);
    } else if (tool) {
      shaped.push_back({{"role", "user"}, {"content", result_text(message, names)}});
    } else if (message.contains("tool_calls")) {
      shaped.push_back(assistant_as_text(message, names));
    } else {
      shaped.push_back(std::move(message));
    }
    results = tool;
  }
  if (tools.is_array() && !tools.empty()) add_instructions(shaped, tools);
  return shaped;
}

Result<std::string> with_tools_in_prompt(std::string_view messages_json,
                                         std::string_view tools_json) {
  try {
    auto messages = HF_TRY(read_messages(messages_json));
    const auto tools = HF_TRY(read_tools(tools_json));
    return HF_TRY(tools_in_prompt(std::move(messages), tools))
        .dump(-1, ' ', false, Json::error_handler_t::replace);
  } catch (const Json::exception& error) {
    return fail(Errc::invalid_argument, "messages or tools do not have the expected form.",
                error.what());
  }
}

}  // namespace hf::chat
