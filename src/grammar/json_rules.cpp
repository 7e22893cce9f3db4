#include "grammar/json_rules.hpp"

#include <algorithm>
#include <format>

namespace hf::grammar {

bool JsonRules::use(std::string_view suffix, std::string& name) {
  name = std::format("{}-{}", root_name_, suffix);
  if (std::ranges::contains(basic_, name)) return false;
  basic_.push_back(name);
  return true;
}

std::string JsonRules::value() {
  std::string name;
  if (use("value", name)) {
    define(name, std::format("{} | {} | {} | {} | \"true\" | \"false\" | \"null\"", object(),
                             array(), string(), number()));
  }
  return name;
}

std::string JsonRules::object() {
  std::string name;
  if (use("object", name)) {
    const auto member = std::format(R"({} ":" " "? {})", string(), value());
    define(name, std::format(R"("{{" ({0} ("," " "? {0})*)? "}}")", member));
  }
  return name;
}

std::string JsonRules::array() {
  std::string name;
  if (use("array", name)) define(name, std::format(R"("[" ({0} ("," " "? {0})*)? "]")", value()));
  return name;
}

std::string JsonRules::string() {
  std::string name;
  if (use("string", name)) define(name, std::format(R"("\"" {}* "\"")", character()));
  return name;
}

std::string JsonRules::character() {
  std::string name;
  if (use("char", name)) {
    define(
        name,
        R"([^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | )"
        R"([dD] [0-7] [0-9a-fA-F]{2} | [dD] [89abAB] [0-9a-fA-F]{2} "\\u" [dD] [c-fC-F] [0-9a-fA-F]{2})))");
  }
  return name;
}

std::string JsonRules::plain_character() {
  std::string name;
  if (use("plain", name)) define(name, R"([^"\\\x00-\x1F])");
  return name;
}

std::string JsonRules::number() {
  std::string name;
  if (use("number", name)) {
    define(name, R"("-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,16})? ([eE] [+-]? [0-9]{1,2})?)");
  }
  return name;
}

std::string JsonRules::integer() {
  std::string name;
  if (use("integer", name)) define(name, R"("0" | "-"? [1-9] [0-9]{0,15})");
  return name;
}

std::string JsonRules::reserve() {
  return std::format("{}-{}", root_name_, ++count_);
}

std::string JsonRules::add(std::string body) {
  auto name = reserve();
  define(name, std::move(body));
  return name;
}

void JsonRules::define(std::string_view name, std::string body) {
  bytes_ += name.size() + body.size() + 6;
  rules_.emplace_back(name, std::move(body));
}

std::string JsonRules::text() const {
  std::string out;
  out.reserve(bytes_);
  const auto put = [&out](const auto& rule) { out += rule.first + " ::= " + rule.second + '\n'; };
  for (const auto& rule : rules_) {
    if (rule.first == root_name_) put(rule);
  }
  for (const auto& rule : rules_) {
    if (rule.first != root_name_) put(rule);
  }
  return out;
}

}  // namespace hf::grammar
