// Objects: declared keys in their order, then further ones.
#include <algorithm>
#include <format>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "grammar/code_points.hpp"
#include "grammar/schema_compiler.hpp"

namespace hf::grammar {

using Json = SchemaCompiler::Json;

struct SchemaCompiler::Property {
  std::string key;
  std::string member = {};  ///< Key, colon and value as GBNF.
  bool required = false;
  bool forbidden = false;  ///< Never written, and no further key may have its name.
};

namespace {

bool is_false(const Json& schema) {
  return schema.is_boolean() && !schema.get<bool>();
}

std::string member_of(const std::string& key, const std::string& value) {
  return gbnf_literal(Json(key).dump() + ":") + R"( " "? )" + value;
}

}  // namespace

Result<std::vector<SchemaCompiler::Property>> SchemaCompiler::properties_of(const Json& schema,
                                                                            const Spot& spot) {
  static const Json kNothing = Json::object();
  const auto& declared = schema.contains("properties") ? schema["properties"] : kNothing;
  if (!declared.is_object())
    return schema_error(spot.place.at("properties"), "properties must be an object");
  std::vector<Property> out;
  std::map<std::string, std::size_t> index;
  for (const auto& [key, value] : declared.items()) {
    index.emplace(key, out.size());
    Property property{.key = key, .forbidden = is_false(value)};
    if (!property.forbidden) {
      const auto rule = HF_TRY(visit(value, spot.within().at("properties").at(key)));
      property.member = member_of(key, rule);
    }
    out.push_back(std::move(property));
  }
  if (!schema.contains("required")) return out;
  const auto& required = schema["required"];
  if (!required.is_array())
    return schema_error(spot.place.at("required"), "required must be a list of keys");
  for (std::size_t i = 0; i < required.size(); ++i) {
    const auto here = spot.at("required").at(i);
    if (!required[i].is_string())
      return schema_error(here.place, "a required key must be a string");
    const auto& key = required[i].get_ref<const std::string&>();
    const auto [known, fresh] = index.try_emplace(key, out.size());
    if (fresh) {
      std::string value;
      if (!schema.contains("additionalProperties")) {
        value = rules_.value();
      } else if (!is_false(schema["additionalProperties"])) {
        value =
            HF_TRY(visit(schema["additionalProperties"], spot.within().at("additionalProperties")));
      }
      out.push_back({.key = key, .member = member_of(key, value), .forbidden = value.empty()});
    }
    auto& property = out[known->second];
    if (property.forbidden)
      return schema_error(here.place, "the required key is not allowed by the schema");
    property.required = true;
  }
  return out;
}

/// A member with a key of its own; empty: there may be none.
Result<std::string> SchemaCompiler::additional_member(const Json& schema,
                                                      const std::vector<Property>& named,
                                                      const Spot& spot) {
  std::string value;
  if (!schema.contains("additionalProperties")) {
    if (!named.empty()) return std::string();
    value = rules_.value();
  } else {
    const auto& rest = schema["additionalProperties"];
    if (is_false(rest)) return std::string();
    value = HF_TRY(visit(rest, spot.within().at("additionalProperties")));
  }
  const auto key = named.empty() ? rules_.string() : key_except(named);
  return rules_.add(key + R"( ":" " "? )" + value);
}

/// A JSON string that is none of the named keys. Written without escapes: an escaped spelling of a
/// named key would slip through.
std::string SchemaCompiler::key_except(const std::vector<Property>& named) {
  struct Branch {
    std::map<char32_t, std::size_t> next = {};
    bool key_ends = false;
  };
  std::vector<Branch> tree(1);
  for (const auto& property : named) {
    std::size_t node = 0;
    for (std::size_t at = 0; at < property.key.size();) {
      const auto c = read_code_point(property.key, at);
      const auto [next, fresh] = tree[node].next.try_emplace(c, tree.size());
      node = next->second;
      if (fresh) tree.emplace_back();
    }
    tree[node].key_ends = true;
  }
  const auto plain = rules_.plain_character();
  const CodePointSet special({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
  std::vector<std::string> names(tree.size());
  // Children have higher numbers than their parents.
  for (auto i = tree.size(); i-- > 0;) {
    std::string body;
    std::vector<CodePointRange> taken;
    for (const auto& [c, child] : tree[i].next) {
      taken.push_back({c, c});
      if (special.contains(c)) continue;
      body += gbnf_class(CodePointSet({{c, c}})) + " " + names[child] + " | ";
    }
    const auto others = CodePointSet(std::move(taken)).with(special).complement();
    body += std::format("{} {}*", gbnf_class(others), plain);
    if (!tree[i].key_ends) body += R"( | "")";
    names[i] = rules_.add(std::move(body));
  }
  return R"("\"" )" + names.front() + R"( "\"")";
}

/// Linear in the number of keys: rule i-first writes keys from i on with none before, i-next with
/// one before.
std::string SchemaCompiler::chain(const std::vector<Property>& named,
                                  const std::string& additional) {
  std::string first;
  std::string next;
  if (!additional.empty()) {
    next = rules_.add(std::format(R"(("," " "? {})*)", additional));
    first = rules_.add(std::format("({} {})?", additional, next));
  }
  for (auto i = named.size(); i-- > 0;) {
    const auto& property = named[i];
    if (property.forbidden) continue;
    const auto with = property.member + (next.empty() ? "" : " " + next);
    const auto skip_first = first.empty() ? std::string(R"("")") : first;
    const auto skip_next = next.empty() ? std::string(R"("")") : next;
    first = rules_.add(property.required ? with : std::format("{} | {}", with, skip_first));
    next = rules_.add(
        std::format(R"("," " "? {}{})", with, property.required ? "" : " | " + skip_next));
  }
  return first;
}

Result<std::string> SchemaCompiler::visit_object(const Json& schema, const Spot& spot) {
  const auto named = HF_TRY(properties_of(schema, spot));
  const auto additional = HF_TRY(additional_member(schema, named, spot));
  if (named.empty() && additional.empty()) return std::string(R"("{}")");
  HF_TRY_VOID(check_size(spot));
  return rules_.add(std::format(R"("{{" {} "}}")", chain(named, additional)));
}

}  // namespace hf::grammar
