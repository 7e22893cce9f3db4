#include "api/tool_fields.hpp"

#include <algorithm>
#include <unordered_set>

#include "api/json_writer.hpp"

namespace hf::api {
namespace {

constexpr std::size_t kToolsMax = 128;
constexpr std::size_t kNameMax = 64;

class ToolReader {
 public:
  ToolReader(Fields& fields, ToolForm form) : fields_(fields), form_(form) {}

  // OpenAI's nested array; empty if there are none.
  std::string tools() {
    const auto list = fields_.take("tools", JsonKind::array);
    if (!list || list.size() == 0) return {};
    if (list.size() > kToolsMax) {
      fields_.fail("tools", TextId::too_long_list, list.size(), kToolsMax);
      return {};
    }
    std::string out;
    JsonWriter json(out);
    json.open_array();
    std::size_t index = 0;
    for (const auto item : list) {
      Fields tool(item, item_path("tools", index++), fields_.language());
      read_tool(tool, json);
      fields_.merge(tool);
      if (!fields_.good()) return {};
    }
    json.close_array();
    return out;
  }

  [[nodiscard]] bool knows(std::string_view name) const {
    return names_.contains(std::string(name));
  }

 private:
  void read_tool(Fields& tool, JsonWriter& json) {
    tool.require("type");
    const auto type = tool.take("type", JsonKind::string);
    if (!tool.good()) return;
    if (type.text() != "function") {
      return tool.fail("type", TextId::unknown_item, type.text().substr(0, kNameMax));
    }
    if (form_ == ToolForm::flat) return write_function(tool, json);
    tool.require("function");
    const auto function = tool.take("function");
    if (!tool.good()) return;
    Fields inner(function, tool.path("function"), fields_.language());
    write_function(inner, json);
    tool.merge(inner);
  }

  void write_function(Fields& function, JsonWriter& json) {
    function.require("name");
    std::string name;
    function.text("name", name);
    const auto description = function.take("description", JsonKind::string);
    const auto parameters = function.take("parameters", JsonKind::object);
    const auto strict = function.take("strict", JsonKind::boolean);
    if (!function.good()) return;
    if (!valid_function_name(name)) return function.fail("name", TextId::bad_name);
    if (!names_.insert(name).second) return function.fail("name", TextId::duplicate_tool, name);
    json.open_object().member("type", "function").key("function").open_object();
    json.member("name", name);
    if (description) json.member_raw("description", description.raw());
    if (parameters) json.member_raw("parameters", parameters.raw());
    if (strict && strict.truth()) json.member("strict", true);
    json.close_object().close_object();
  }

  Fields& fields_;
  ToolForm form_;
  std::unordered_set<std::string> names_ = {};
};

std::optional<chat::ToolChoice> choice_of(std::string_view word) {
  if (word == "auto") return chat::ToolChoice::automatic;
  if (word == "none") return chat::ToolChoice::none;
  if (word == "required") return chat::ToolChoice::required;
  return std::nullopt;
}

// {"type":"function","function":{"name":..}} or {"type":"function","name":..}
void read_named(Fields& fields, Json choice, ToolForm form, ToolPlan& plan) {
  Fields outer(choice, fields.path("tool_choice"), fields.language());
  const auto type = outer.take("type", JsonKind::string);
  if (type && type.text() != "function") {
    outer.fail("type", TextId::unknown_item, type.text().substr(0, kNameMax));
  }
  outer.require("type");
  plan.choice = chat::ToolChoice::named;
  if (form == ToolForm::flat) {
    outer.require("name");
    outer.text("name", plan.named);
  } else {
    outer.require("function");
    if (const auto function = outer.take("function"); outer.good()) {
      Fields inner(function, outer.path("function"), fields.language());
      inner.require("name");
      inner.text("name", plan.named);
      outer.merge(inner);
    }
  }
  fields.merge(outer);
}

void read_choice(Fields& fields, ToolForm form, ToolPlan& plan) {
  const auto choice = fields.take("tool_choice");
  if (!choice || !fields.good()) return;
  if (choice.is(JsonKind::object)) return read_named(fields, choice, form, plan);
  const auto word = choice.is(JsonKind::string) ? choice_of(choice.text()) : std::nullopt;
  if (!word) return fields.fail("tool_choice", TextId::want_one_of, "'none', 'auto', 'required'");
  plan.choice = *word;
}

}  // namespace

bool valid_function_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

void read_tools(Fields& fields, ToolForm form, ToolPlan& plan) {
  ToolReader reader(fields, form);
  plan.tools_json = reader.tools();
  read_choice(fields, form, plan);
  fields.flag("parallel_tool_calls", plan.parallel);
  if (!fields.good()) return;
  const bool forced =
      plan.choice == chat::ToolChoice::required || plan.choice == chat::ToolChoice::named;
  if (plan.choice == chat::ToolChoice::none) plan.tools_json.clear();
  if (!forced) return;
  if (plan.tools_json.empty()) return fields.fail("tool_choice", TextId::tool_choice_needs_tools);
  if (plan.choice == chat::ToolChoice::named && !reader.knows(plan.named)) {
    fields.fail("tool_choice", TextId::unknown_tool, plan.named.substr(0, kNameMax));
  }
}

}  // namespace hf::api
