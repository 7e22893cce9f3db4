#include <algorithm>
#include <format>
#include <set>

#include "chat/call_head.hpp"
#include "chat/json_scan.hpp"
#include "chat/messages.hpp"
#include "chat/output_parser.hpp"
#include "grammar/grammar.hpp"

namespace hf::chat {
namespace {

constexpr std::size_t kToolsMax = 128;

std::string literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

struct Tool {
  std::string name;
  std::string arguments_rule;  ///< Name of the rule for its arguments.
};

bool is_callable_name(std::string_view name) {
  return is_tool_name(name) && !name.contains('.');
}

// The schema with its root said to be an object; null if it is something else.
Json object_schema(const Json& function) {
  auto schema = function.value("parameters", Json());
  if (schema.is_null()) return {{"type", "object"}, {"additionalProperties", false}};
  if (!schema.is_object()) return {};
  if (!schema.contains("type")) {
    for (const auto* key : {"$ref", "anyOf", "oneOf", "allOf", "enum", "const"}) {
      if (schema.contains(key)) return {};
    }
    schema["type"] = "object";
  }
  return schema["type"] == "object" ? schema : Json();
}

Result<std::string> arguments_rules(const Json& tool, std::size_t index, const std::string& rule) {
  const auto& function = tool["function"];
  const auto param = std::format("tools[{}].function.parameters", index);
  const auto name = function["name"].get<std::string>();
  const bool strict = function.value("strict", Json(false)) == true;
  const auto schema = object_schema(function);
  if (!schema.is_null()) {
    auto rules = grammar::schema_to_gbnf(schema.dump(), rule);
    if (rules) return rules;
    if (strict) {
      return fail_at(param, std::format("Tool '{}': {}", name, rules.error().message));
    }
  } else if (strict) {
    return fail_at(param,
                   std::format("Tool '{}': the parameters must be a schema of type object.", name));
  }
  return grammar::schema_to_gbnf(R"({"type": "object"})", rule);
}

class ToolRules {
 public:
  ToolRules(ToolStyle style, bool parallel) : style_(style), parallel_(parallel) {}

  Result<void> add_tools(const Json& tools, std::string_view named_tool) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < tools.size(); ++i) {
      const auto name = tools[i]["function"]["name"].get<std::string>();
      const auto param = std::format("tools[{}].function.name", i);
      if (!is_callable_name(name)) {
        return fail_at(param, param + " must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -.");
      }
      if (!names.insert(name).second) {
        return fail_at(param, std::format("The tool '{}' is given twice; rename one.", name));
      }
      if (!named_tool.empty() && name != named_tool) continue;
      const auto rule = std::format("tool{}", i);
      rules_ += HF_TRY(arguments_rules(tools[i], i, rule)) + "\n";
      tools_.push_back({name, rule});
    }
    if (tools_.empty()) {
      return fail_at("tool_choice",
                     std::format("tool_choice names '{}', which is not in tools.", named_tool));
    }
    return {};
  }

  // For what follows a trigger.
  wire::Grammar after_trigger() {
    switch (style_) {
      case ToolStyle::llama3:
        define("root", each([](const Tool& tool) { return named_rest(tool, "parameters"); }));
        triggers_.assign(std::begin(kLlamaStarts), std::end(kLlamaStarts));
        break;
      case ToolStyle::mistral:
        define("root", "sp ( list | direct )");
        triggers_ = {std::string(marker::kMistralCalls)};
        break;
      case ToolStyle::deepseek:
        define("root", repeated("call", "nl") + " nl " + literal(marker::kDeepseekCallsEnd));
        triggers_ = {std::string(marker::kDeepseekCalls)};
        break;
      case ToolStyle::hermes:
      case ToolStyle::generic:
      case ToolStyle::none:
        define("root", "nl object nl " + literal(marker::kHermesClose));
        triggers_ = {std::string(marker::kHermesOpen)};
        break;
    }
    return finished();
  }

  // For the whole answer.
  wire::Grammar from_the_start() {
    switch (style_) {
      case ToolStyle::llama3:
        define("root", "nl nl " + repeated("object", literal("; ")));
        break;
      case ToolStyle::mistral: {
        const auto call = literal(marker::kMistralCalls) + " sp ";
        const auto more = parallel_ ? " ( " + call + "direct )*" : std::string();
        define("root", "nl nl " + call + "( list | direct" + more + " )");
        break;
      }
      case ToolStyle::deepseek:
        define("root", "nl nl " + literal(marker::kDeepseekCalls) + " " + repeated("call", "nl") +
                           " nl " + literal(marker::kDeepseekCallsEnd));
        break;
      case ToolStyle::hermes:
      case ToolStyle::generic:
      case ToolStyle::none:
        define("call",
               literal(marker::kHermesOpen) + " nl object nl " + literal(marker::kHermesClose));
        define("root", "nl nl " + repeated("call", "nl"));
        break;
    }
    return finished();
  }

 private:
  void define(std::string_view name, const std::string& body) {
    rules_ += std::format("{} ::= {}\n", name, body);
  }

  template <class Rule>
  [[nodiscard]] std::string each(const Rule& rule) const {
    std::string body;
    for (const auto& tool : tools_) body += (body.empty() ? "" : " | ") + rule(tool);
    return body;
  }

  [[nodiscard]] std::string repeated(const std::string& item, const std::string& between) const {
    return parallel_ ? std::format("{} ( {} {} )*", item, between, item) : item;
  }

  // A call's object from inside the quotes of its name on.
  static std::string named_rest(const Tool& tool, std::string_view key) {
    return std::format("{} sp {} sp {} {}", literal(tool.name + "\","),
                       literal(std::format("\"{}\":", key)), tool.arguments_rule, literal("}"));
  }

  static std::string deepseek_call(const Tool& tool) {
    return std::format(
        "( {} {} {} | {} {} ) {}",
        literal(std::format("function{}{}\n```json\n", marker::kDeepseekSeparator, tool.name)),
        tool.arguments_rule, literal("\n```"),
        literal(std::format("{}{}", tool.name, marker::kDeepseekSeparator)), tool.arguments_rule,
        literal(marker::kDeepseekCallEnd));
  }

  wire::Grammar finished() {
    const auto* const key = style_ == ToolStyle::llama3 ? "parameters" : "arguments";
    define("sp", "\" \"?");
    define("nl", "\"\\n\"?");
    define("object", literal("{\"name\":") + " sp " + literal("\"") + " ( " +
                         each([key](const Tool& tool) { return named_rest(tool, key); }) + " )");
    if (style_ == ToolStyle::mistral) {
      define("list",
             literal("[") + " " + repeated("object", literal(",") + " sp") + " " + literal("]"));
      define("direct", each([](const Tool& tool) {
               return literal(tool.name) + " " + literal(marker::kMistralArguments) + " " +
                      tool.arguments_rule;
             }));
    }
    if (style_ == ToolStyle::deepseek) {
      define("call", literal(marker::kDeepseekCall) + " ( " + each(deepseek_call) + " )");
    }
    wire::Grammar made{.kind = wire::GrammarKind::gbnf, .text = std::move(rules_)};
    made.triggers = std::move(triggers_);
    return made;
  }

  ToolStyle style_;
  bool parallel_;
  std::string rules_ = {};
  std::vector<Tool> tools_ = {};
  std::vector<std::string> triggers_ = {};
};

Result<wire::Grammar> make_grammar(ToolStyle style, std::string_view tools_json, ToolChoice choice,
                                   std::string_view named_tool, bool parallel) {
  const auto tools = HF_TRY(read_tools(tools_json));
  const bool forced = choice == ToolChoice::required || choice == ToolChoice::named;
  if (tools.is_null() && forced) {
    return fail_at("tool_choice", "tool_choice asks for a tool, but tools is empty.");
  }
  if (tools.is_null() || choice == ToolChoice::none) return wire::Grammar{};
  if (tools.size() > kToolsMax) {
    return fail_at("tools", std::format("tools has {} entries; at most {} are allowed.",
                                        tools.size(), kToolsMax));
  }
  if (style == ToolStyle::none) {
    return fail(Errc::failed_precondition,
                "This model has no chat template and so no tools; choose a chat model.");
  }
  if (choice == ToolChoice::named && named_tool.empty()) {
    return fail_at("tool_choice", "tool_choice must name the tool.");
  }
  ToolRules rules(style, parallel);
  HF_TRY_VOID(rules.add_tools(tools, choice == ToolChoice::named ? named_tool : ""));
  return forced ? rules.from_the_start() : rules.after_trigger();
}

}  // namespace

Result<wire::Grammar> tool_call_grammar(ToolStyle style, std::string_view tools_json,
                                        ToolChoice choice, std::string_view named_tool,
                                        bool parallel) {
  try {
    return make_grammar(style, tools_json, choice, named_tool, parallel);
  } catch (const Json::exception& error) {
    return fail(Errc::invalid_argument, "tools do not have the expected form.", error.what());
  }
}

}  // namespace hf::chat
