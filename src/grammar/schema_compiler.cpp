#include "grammar/schema_compiler.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <utility>

#include <nlohmann/json.hpp>

#include "grammar/code_points.hpp"

namespace hf::grammar {
namespace {

constexpr std::size_t kBytesMax = std::size_t{16} << 20U;

using Json = SchemaCompiler::Json;

bool is_false(const Json& schema) {
  return schema.is_boolean() && !schema.get<bool>();
}

/// True if the schema says nothing that narrows a value.
bool is_free(const Json& schema) {
  return std::ranges::all_of(schema.items(),
                             [](const auto& item) { return is_annotation(item.key()); });
}

bool only_reference(const Json& schema) {
  return schema.contains("$ref") && std::ranges::all_of(schema.items(), [](const auto& item) {
           return item.key() == "$ref" || is_annotation(item.key());
         });
}

std::string join(const std::vector<std::string>& parts) {
  std::string out = "(";
  for (std::size_t i = 0; i < parts.size(); ++i) out += (i == 0 ? "" : " | ") + parts[i];
  return out + ")";
}

bool has_type(const Json& value, std::string_view type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  if (type == "integer") {
    return value.is_number_integer() ||
           (value.is_number_float() &&
            value.get<double>() == static_cast<double>(static_cast<long long>(
                                       std::clamp(value.get<double>(), -1e18, 1e18))));
  }
  return value.is_number();
}

}  // namespace

SchemaCompiler::SchemaCompiler(const Json& root, std::string_view root_name, const Limits& limits)
    : root_(root),
      limits_(limits),
      algebra_(root, limits.depth_max),
      rules_(std::string(root_name)) {}

Result<std::string> SchemaCompiler::run() {
  targets_.push_back({&root_, rules_.root_name(), {}, {}});
  target_index_.emplace(&root_, 0);
  // References met on the way append further targets.
  for (std::uint32_t i = 0; i < targets_.size(); ++i) {
    const auto [schema, rule, place, begins] = targets_[i];
    auto body = HF_TRY(visit(*schema, Spot{place, i}));
    rules_.define(rule, std::move(body));
  }
  HF_TRY_VOID(check_progress());
  return rules_.text();
}

/// A reference that leads back to itself before any character is written would never end.
Result<void> SchemaCompiler::check_progress() const {
  std::vector<std::uint32_t> waiting(targets_.size());
  std::vector<std::vector<std::uint32_t>> users(targets_.size());
  std::vector<std::uint32_t> done;
  for (std::uint32_t i = 0; i < targets_.size(); ++i) {
    waiting[i] = static_cast<std::uint32_t>(targets_[i].begins_with.size());
    for (const auto other : targets_[i].begins_with) users[other].push_back(i);
    if (waiting[i] == 0) done.push_back(i);
  }
  while (!done.empty()) {
    const auto target = done.back();
    done.pop_back();
    for (const auto user : users[target]) {
      if (--waiting[user] == 0) done.push_back(user);
    }
  }
  for (std::uint32_t i = 0; i < targets_.size(); ++i) {
    if (waiting[i] != 0) {
      return schema_error(targets_[i].place,
                          "the $ref leads back to itself without any value in between");
    }
  }
  return {};
}

Result<void> SchemaCompiler::check_size(const Spot& spot) const {
  if (spot.place.depth > limits_.depth_max)
    return schema_error(spot.place, "it is nested too deeply");
  if (rules_.size() > limits_.rules_max || rules_.bytes() > kBytesMax) {
    return schema_error(spot.place, "the schema grows too large here; make it smaller");
  }
  return {};
}

Result<std::string> SchemaCompiler::visit(const Json& schema, const Spot& spot) {
  HF_TRY_VOID(check_size(spot));
  HF_TRY_VOID(SchemaAlgebra::check_keywords(schema, spot.place));
  if (schema.is_object() && only_reference(schema)) return visit_reference(schema["$ref"], spot);
  const auto flat = HF_TRY(algebra_.flatten(schema, spot.place));
  return visit_flat(flat, spot);
}

Result<std::string> SchemaCompiler::visit_flat(const Json& schema, const Spot& spot) {
  if (is_false(schema)) return schema_error(spot.place, "no value can satisfy it");
  if (schema.contains("anyOf")) return visit_union(schema, spot);
  if (is_free(schema)) return rules_.value();
  if (schema.contains("enum")) return visit_enum(schema, spot);
  const auto types = HF_TRY(types_of(schema, spot));
  std::vector<std::string> parts;
  for (const auto& type : types) parts.push_back(HF_TRY(visit_type(type, schema, spot)));
  return parts.size() == 1 ? parts.front() : rules_.add(join(parts));
}

Result<std::string> SchemaCompiler::visit_reference(const Json& reference, const Spot& spot) {
  const auto* schema = HF_TRY(algebra_.resolve(reference, spot.place));
  const auto [entry, fresh] =
      target_index_.try_emplace(schema, static_cast<std::uint32_t>(targets_.size()));
  if (fresh)
    targets_.push_back({schema, rules_.reserve(), Place{reference.get<std::string>(), 0}, {}});
  if (!spot.inside) targets_[spot.owner].begins_with.push_back(entry->second);
  return targets_[entry->second].rule;
}

Result<std::string> SchemaCompiler::visit_union(Json schema, const Spot& spot) {
  const auto branches = std::move(schema["anyOf"]);
  schema.erase("anyOf");
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < branches.size(); ++i) {
    const auto branch = spot.at("anyOf").at(i);
    if (is_false(branches[i])) continue;
    if (schema.empty()) {
      if (branches[i].is_object() && only_reference(branches[i])) {
        parts.push_back(HF_TRY(visit(branches[i], branch)));
        continue;
      }
    }
    const auto flat = HF_TRY(algebra_.flatten(branches[i], branch.place));
    const auto merged = HF_TRY(algebra_.merge(schema, flat, branch.place));
    if (is_false(merged)) continue;
    HF_TRY_VOID(check_size(branch));
    parts.push_back(HF_TRY(visit_flat(merged, branch)));
  }
  if (parts.empty()) return schema_error(spot.place, "none of the alternatives can be satisfied");
  return parts.size() == 1 ? parts.front() : rules_.add(join(parts));
}

Result<std::string> SchemaCompiler::visit_enum(const Json& schema, const Spot& spot) {
  const auto& values = schema["enum"];
  if (!values.is_array() || values.empty()) {
    return schema_error(spot.place.at("enum"), "enum must be a list with at least one value");
  }
  for (const auto& [key, value] : schema.items()) {
    if (key == "enum" || key == "type") continue;
    return schema_error(spot.place.at(key),
                        "beside enum or const only type is supported; list just the right values");
  }
  std::vector<std::string> types;
  if (schema.contains("type")) types = HF_TRY(types_of(schema, spot));
  std::vector<std::string> parts;
  for (const auto& value : values) {
    const bool fits = types.empty() || std::ranges::any_of(types, [&value](const auto& type) {
                        return has_type(value, type);
                      });
    if (fits) parts.push_back(gbnf_literal(value.dump()));
  }
  if (parts.empty())
    return schema_error(spot.place.at("enum"), "no value of enum has the wanted type");
  return rules_.add(join(parts));
}

Result<std::vector<std::string>> SchemaCompiler::types_of(const Json& schema, const Spot& spot) {
  struct Hint {
    std::string_view keyword;
    std::string_view type;
  };
  static constexpr std::array kHints = {Hint{"properties", "object"},
                                        Hint{"required", "object"},
                                        Hint{"additionalProperties", "object"},
                                        Hint{"items", "array"},
                                        Hint{"prefixItems", "array"},
                                        Hint{"minItems", "array"},
                                        Hint{"maxItems", "array"},
                                        Hint{"additionalItems", "array"},
                                        Hint{"minLength", "string"},
                                        Hint{"maxLength", "string"},
                                        Hint{"pattern", "string"},
                                        Hint{"format", "string"},
                                        Hint{"minimum", "number"},
                                        Hint{"maximum", "number"},
                                        Hint{"exclusiveMinimum", "number"},
                                        Hint{"exclusiveMaximum", "number"}};
  std::vector<std::string> out;
  const auto put = [&out](std::string_view type) {
    if (!std::ranges::contains(out, type)) out.emplace_back(type);
  };
  if (!schema.contains("type")) {
    for (const auto& hint : kHints) {
      if (schema.contains(hint.keyword)) put(hint.type);
    }
    return out;
  }
  const auto& type = schema["type"];
  if (type.is_string()) put(type.get_ref<const std::string&>());
  if (type.is_array()) {
    for (const auto& one : type) {
      if (!one.is_string()) return schema_error(spot.place.at("type"), "a type must be a string");
      put(one.get_ref<const std::string&>());
    }
  }
  if (out.empty())
    return schema_error(spot.place.at("type"), "type must be a name or a list of names");
  return out;
}

Result<std::string> SchemaCompiler::visit_type(const std::string& type, const Json& schema,
                                               const Spot& spot) {
  if (type == "object") return visit_object(schema, spot);
  if (type == "array") return visit_array(schema, spot);
  if (type == "string") return visit_string(schema, spot);
  if (type == "integer") return visit_integer(schema, spot);
  if (type == "number") return visit_number(schema, spot);
  if (type == "boolean") return std::string(R"(("true" | "false"))");
  if (type == "null") return std::string(R"("null")");
  return schema_error(
      spot.place.at("type"),
      "the type is unknown; use object, array, string, number, integer, boolean or null");
}

Result<std::uint64_t> SchemaCompiler::count(const Json& schema, std::string_view key,
                                            std::uint64_t otherwise, const Spot& spot) const {
  const auto found = schema.find(key);
  if (found == schema.end()) return otherwise;
  const auto value = found->is_number() ? found->get<double>() : -1.0;
  if (value < 0 ||
      value != static_cast<double>(static_cast<std::uint64_t>(std::min(value, 1e15)))) {
    return schema_error(spot.place.at(key), "it must be a whole number that is not negative");
  }
  if (value > static_cast<double>(limits_.repeat_max)) {
    return schema_error(spot.place.at(key),
                        std::format("it may not be above {}", limits_.repeat_max));
  }
  return static_cast<std::uint64_t>(value);
}

Result<std::string> SchemaCompiler::visit_array(const Json& schema, const Spot& spot) {
  const Json* prefix = nullptr;
  const Json* rest = nullptr;
  std::string_view rest_key = "items";
  if (schema.contains("prefixItems")) prefix = &schema["prefixItems"];
  if (schema.contains("items")) rest = &schema["items"];
  if (rest != nullptr && rest->is_array()) {
    if (prefix != nullptr)
      return schema_error(spot.place.at("items"), "items must be one schema beside prefixItems");
    prefix = std::exchange(rest, nullptr);
    rest_key = "additionalItems";
    if (schema.contains(rest_key)) rest = &schema[rest_key];
  }
  if (prefix != nullptr && !prefix->is_array()) {
    return schema_error(spot.place.at("prefixItems"), "prefixItems must be a list of schemas");
  }
  const auto within = spot.within();
  std::vector<std::string> first;
  const auto* first_key = rest_key == "items" ? "prefixItems" : "items";
  for (std::size_t i = 0; prefix != nullptr && i < prefix->size(); ++i) {
    first.push_back(HF_TRY(visit((*prefix)[i], within.at(first_key).at(i))));
  }
  const auto least =
      HF_TRY(count(schema, "minItems", schema.contains("maxItems") ? 0 : first.size(), spot));
  std::optional<std::uint64_t> most;
  if (schema.contains("maxItems")) most = HF_TRY(count(schema, "maxItems", 0, spot));
  std::string more;
  if (rest != nullptr ? !is_false(*rest) : first.empty() || least > first.size()) {
    more = rest == nullptr ? rules_.value() : HF_TRY(visit(*rest, within.at(rest_key)));
  }
  return list(first, more, least, most, spot);
}

/// `first` one by one, then any number of `rest` (empty: none).
Result<std::string> SchemaCompiler::list(const std::vector<std::string>& first,
                                         const std::string& rest, std::uint64_t least,
                                         std::optional<std::uint64_t> most, const Spot& spot) {
  if (rest.empty()) most = std::min<std::uint64_t>(most.value_or(first.size()), first.size());
  if (most && *most < least)
    return schema_error(spot.place, "fewer items are allowed than are needed");
  std::string tail;  // What may follow the last of `first`, with its comma.
  const auto listed = most ? std::min<std::uint64_t>(first.size(), *most) : first.size();
  if (!rest.empty() && (!most || *most > listed)) {
    const auto low = least > listed ? least - listed : 0;
    const auto high = most ? std::to_string(*most - listed) : "";
    if (listed > 0) {
      tail = std::format(R"(("," " "? {}){{{},{}}})", rest, low, high);
    } else {
      const auto others = most ? std::to_string(*most - 1) : "";
      tail = std::format(R"(({0} ("," " "? {0}){{{1},{2}}}){3})", rest, low > 0 ? low - 1 : 0,
                         others, low > 0 ? "" : "?");
    }
  }
  // From the back: each optional item holds what follows it.
  for (auto i = listed; i-- > 0;) {
    const auto item = (i == 0 ? "" : R"("," " "? )") + first[i] + (tail.empty() ? "" : " " + tail);
    tail = i < least ? item : rules_.add("(" + item + ")?");
    if (i % 16 == 0) tail = rules_.add(tail);
    HF_TRY_VOID(check_size(spot));
  }
  return rules_.add(R"("[" )" + tail + R"( "]")");
}

}  // namespace hf::grammar
