#include "grammar/schema_algebra.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace hf::grammar {
namespace {

using Json = SchemaAlgebra::Json;

constexpr std::size_t kWorkMax = 500'000;  // Values copied while merging; about half a second.
constexpr std::size_t kPairsMax = 1'000'000;
constexpr std::size_t kUnionMax = 10'000;

constexpr std::array kKnown = {"$ref",
                               "additionalItems",
                               "additionalProperties",
                               "allOf",
                               "anyOf",
                               "const",
                               "enum",
                               "exclusiveMaximum",
                               "exclusiveMinimum",
                               "format",
                               "items",
                               "maxItems",
                               "maxLength",
                               "maximum",
                               "minItems",
                               "minLength",
                               "minimum",
                               "nullable",
                               "oneOf",
                               "pattern",
                               "prefixItems",
                               "properties",
                               "required",
                               "type"};

constexpr std::array kAnnotations = {"$anchor",
                                     "$comment",
                                     "$defs",
                                     "$id",
                                     "$schema",
                                     "$vocabulary",
                                     "contentEncoding",
                                     "contentMediaType",
                                     "default",
                                     "definitions",
                                     "deprecated",
                                     "description",
                                     "discriminator",
                                     "example",
                                     "examples",
                                     "externalDocs",
                                     "id",
                                     "propertyOrdering",
                                     "readOnly",
                                     "strict",
                                     "title",
                                     "writeOnly",
                                     "xml"};

struct Advice {
  std::string_view keyword;
  std::string_view text;
};
constexpr std::array kRefused = {
    Advice{"not", "say what is allowed instead, e.g. with enum"},
    Advice{"if", "use anyOf with one schema a case"},
    Advice{"then", "use anyOf with one schema a case"},
    Advice{"else", "use anyOf with one schema a case"},
    Advice{"multipleOf", "list the values with enum, or check them afterwards"},
    Advice{"uniqueItems", "leave it out and check the items afterwards"},
    Advice{"contains", "describe every item with items or prefixItems"},
    Advice{"minContains", "describe every item with items or prefixItems"},
    Advice{"maxContains", "describe every item with items or prefixItems"},
    Advice{"patternProperties", "name the keys in properties, or use additionalProperties"},
    Advice{"propertyNames", "name the keys in properties"},
    Advice{"minProperties", "list the needed keys in required"},
    Advice{"maxProperties", "name the keys in properties and set additionalProperties to false"},
    Advice{"dependencies", "use anyOf with one schema a case"},
    Advice{"dependentRequired", "use anyOf with one schema a case"},
    Advice{"dependentSchemas", "use anyOf with one schema a case"},
    Advice{"unevaluatedProperties", "use additionalProperties"},
    Advice{"unevaluatedItems", "use items behind prefixItems"},
    Advice{"$dynamicRef", "use $ref"},
    Advice{"$recursiveRef", "use $ref"},
    Advice{"$dynamicAnchor", "use $defs and $ref"},
};

bool is_false(const Json& schema) {
  return schema.is_boolean() && !schema.get<bool>();
}
bool is_true(const Json& schema) {
  return schema.is_boolean() && schema.get<bool>();
}

Json as_list(const Json& value) {
  return value.is_array() ? value : Json::array({value});
}

bool has(const Json& list, const Json& value) {
  return std::ranges::contains(list, value);
}

Json types_of_both(const Json& left, const Json& right) {
  const auto a = as_list(left);
  const auto b = as_list(right);
  Json out = Json::array();
  for (const auto& type : a) {
    if (has(b, type) || (type == "integer" && has(b, "number"))) out.push_back(type);
  }
  if (has(a, "number") && has(b, "integer") && !has(out, "integer")) out.push_back("integer");
  return out;
}

Json both(const Json& left, const Json& right) {
  if (is_false(left) || is_false(right)) return false;
  if (is_true(left) || left == right) return right;
  if (is_true(right)) return left;
  return {{"allOf", Json::array({left, right})}};
}

/// What a flat object schema asks of a key it does not name; absent: nothing.
const Json* additional(const Json& schema) {
  const auto found = schema.find("additionalProperties");
  return found == schema.end() ? nullptr : &*found;
}

Json merged_properties(const Json& left, const Json& right) {
  Json out = Json::object();
  const auto put = [&out](const Json& from, const Json& other) {
    if (!from.contains("properties")) return;
    const auto* rest = additional(other);
    for (const auto& [key, schema] : from["properties"].items()) {
      if (out.contains(key)) continue;
      const bool in_both = other.contains("properties") && other["properties"].contains(key);
      if (in_both) {
        out[key] = both(schema, other["properties"][key]);
      } else {
        out[key] = rest == nullptr ? schema : both(schema, *rest);
      }
    }
  };
  put(left, right);
  put(right, left);
  return out;
}

Json unique_concatenation(Json left, const Json& right) {
  for (const auto& value : right) {
    if (!has(left, value)) left.push_back(value);
  }
  return left;
}

std::string unescaped(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
      out += token[++i] == '0' ? '~' : '/';
      continue;
    }
    unsigned value = 0;
    if (token[i] == '%' && i + 2 < token.size() &&
        std::from_chars(token.data() + i + 1, token.data() + i + 3, value, 16).ptr ==
            token.data() + i + 3) {
      out += static_cast<char>(value);
      i += 2;
      continue;
    }
    out += token[i];
  }
  return out;
}

}  // namespace

Place Place::at(std::string_view key) const {
  Place out{pointer + '/', depth + 1};
  for (const char c : key) {
    if (c == '~') {
      out.pointer += "~0";
    } else if (c == '/') {
      out.pointer += "~1";
    } else {
      out.pointer += c;
    }
  }
  return out;
}

Place Place::at(std::size_t index) const {
  return at(std::to_string(index));
}

std::unexpected<Error> schema_error(const Place& place, std::string_view what) {
  constexpr std::size_t kPointerShown = 300;
  auto pointer = place.pointer;
  if (pointer.size() > kPointerShown) pointer = pointer.substr(0, kPointerShown) + "...";
  return fail(Errc::invalid_argument,
              std::format("The JSON schema cannot be used at {}: {}.", pointer, what));
}

bool is_annotation(std::string_view keyword) {
  return std::ranges::contains(kAnnotations, keyword) || keyword.starts_with("x-");
}

Result<void> SchemaAlgebra::check_keywords(const Json& schema, const Place& place) {
  if (schema.is_boolean()) return {};
  if (!schema.is_object()) return schema_error(place, "a schema must be an object, true or false");
  for (const auto& [key, value] : schema.items()) {
    if (is_annotation(key) || std::ranges::contains(kKnown, std::string_view(key))) continue;
    if (key == "uniqueItems" && is_false(value)) continue;
    const auto known = std::ranges::find(kRefused, std::string_view(key), &Advice::keyword);
    if (known == kRefused.end()) {
      return schema_error(place.at(key),
                          std::format("the keyword '{}' is unknown; remove it", key));
    }
    return schema_error(place.at(key),
                        std::format("the keyword '{}' is not supported; {}", key, known->text));
  }
  return {};
}

Result<const Json*> SchemaAlgebra::resolve(const Json& reference, const Place& place) const {
  const auto here = place.at("$ref");
  if (!reference.is_string()) return schema_error(here, "$ref must be a string");
  const auto& text = reference.get_ref<const std::string&>();
  if (!text.starts_with('#')) {
    return schema_error(here,
                        "only references within the schema are supported; write \"#/$defs/name\"");
  }
  if (text.size() > 1 && text[1] != '/') {
    return schema_error(here, "anchors are not supported; write \"#/$defs/name\"");
  }
  const auto* found = &root_;
  for (std::size_t at = 1; at < text.size();) {
    const auto end = std::min(text.find('/', at + 1), text.size());
    const auto key = unescaped(std::string_view(text).substr(at + 1, end - at - 1));
    at = end;
    if (found->is_object() && found->contains(key)) {
      found = &(*found)[key];
      continue;
    }
    std::size_t index = 0;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), index);
    if (!found->is_array() || parsed.ec != std::errc{} || parsed.ptr != key.data() + key.size() ||
        index >= found->size()) {
      return schema_error(here, "the reference leads nowhere; define what it names");
    }
    found = &(*found)[index];
  }
  return found;
}

Result<void> SchemaAlgebra::charge(const Json& schema, const Place& place) {
  if (++work_ > kWorkMax)
    return schema_error(place, "it grows too large when references and allOf are put together");
  if (!schema.is_structured()) return {};
  for (const auto& value : schema) HF_TRY_VOID(charge(value, place));
  return {};
}

Result<Json> SchemaAlgebra::own_keywords(const Json& schema, const Place& place) {
  Json out = Json::object();
  for (const auto& [key, value] : schema.items()) {
    if (is_annotation(key) || key == "$ref" || key == "allOf" || key == "oneOf" || key == "anyOf" ||
        key == "const" || key == "nullable" || key == "uniqueItems") {
      continue;
    }
    HF_TRY_VOID(charge(value, place));
    out[key] = value;
  }
  // Before draft 6 these two were flags beside minimum and maximum.
  for (const auto& [flag, bound] :
       {std::pair("exclusiveMinimum", "minimum"), std::pair("exclusiveMaximum", "maximum")}) {
    if (!out.contains(flag) || !out[flag].is_boolean()) continue;
    const bool exclusive = out[flag].get<bool>();
    out.erase(flag);
    if (!exclusive || !out.contains(bound)) continue;
    out[flag] = out[bound];
    out.erase(bound);
  }
  if (schema.contains("nullable") && is_true(schema["nullable"])) {
    if (out.contains("type")) {
      out["type"] = as_list(out["type"]);
      if (!has(out["type"], "null")) out["type"].push_back("null");
    }
    if (out.contains("enum") && out["enum"].is_array() && !has(out["enum"], nullptr))
      out["enum"].push_back(nullptr);
  }
  return out;
}

Result<Json> SchemaAlgebra::flatten(const Json& schema, const Place& place) {
  HF_TRY_VOID(check_keywords(schema, place));
  if (schema.is_boolean()) return is_true(schema) ? Json::object() : Json(false);
  if (place.depth > depth_max_)
    return schema_error(place, "it is nested too deeply or refers to itself");
  auto out = HF_TRY(own_keywords(schema, place));
  if (schema.contains("const")) {
    HF_TRY_VOID(charge(schema["const"], place));
    out = HF_TRY(merge(std::move(out), {{"enum", Json::array({schema["const"]})}}, place));
  }
  for (const auto* key : {"anyOf", "oneOf"}) {
    if (!schema.contains(key)) continue;
    const auto& branches = schema[key];
    if (!branches.is_array() || branches.empty()) {
      return schema_error(place.at(key),
                          std::format("{} must be a list with at least one schema", key));
    }
    HF_TRY_VOID(charge(branches, place));
    out = HF_TRY(merge(std::move(out), {{"anyOf", branches}}, place));
  }
  if (schema.contains("$ref")) {
    const auto* target = HF_TRY(resolve(schema["$ref"], place));
    const auto part = HF_TRY(flatten(*target, place.at("$ref")));
    out = HF_TRY(merge(std::move(out), part, place));
  }
  if (schema.contains("allOf")) {
    const auto& parts = schema["allOf"];
    if (!parts.is_array() || parts.empty()) {
      return schema_error(place.at("allOf"), "allOf must be a list with at least one schema");
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto part = HF_TRY(flatten(parts[i], place.at("allOf").at(i)));
      out = HF_TRY(merge(std::move(out), part, place));
    }
  }
  return out;
}

namespace {

enum class Keep : unsigned char { larger, smaller };

std::optional<Keep> numeric_rule(std::string_view key) {
  if (key == "minimum" || key == "exclusiveMinimum" || key == "minLength" || key == "minItems")
    return Keep::larger;
  if (key == "maximum" || key == "exclusiveMaximum" || key == "maxLength" || key == "maxItems")
    return Keep::smaller;
  return std::nullopt;
}

}  // namespace

Result<Json> SchemaAlgebra::merge(Json left, const Json& right, const Place& place) {
  if (is_false(left) || is_false(right)) return Json(false);
  HF_TRY_VOID(charge(right, place));
  if (left.empty()) return right;
  if (right.empty()) return left;
  if (left.contains("properties") || right.contains("properties")) {
    HF_TRY_VOID(charge(left, place));
    left["properties"] = merged_properties(left, right);
  }
  for (const auto& [key, value] : right.items()) {
    if (key == "properties") continue;
    if (!left.contains(key)) {
      left[key] = value;
      continue;
    }
    auto& mine = left[key];
    if (mine == value) continue;
    if (const auto keep = numeric_rule(key); keep && mine.is_number() && value.is_number()) {
      if ((*keep == Keep::larger) == (mine < value)) mine = value;
    } else if (mine.is_array() && value.is_array() && mine.size() * value.size() > kPairsMax) {
      return schema_error(place,
                          std::format("the lists of '{}' to put together are too long", key));
    } else if (key == "type") {
      mine = types_of_both(mine, value);
      if (mine.empty()) return Json(false);
    } else if (key == "enum" && mine.is_array() && value.is_array()) {
      Json shared = Json::array();
      for (const auto& item : mine) {
        if (has(value, item)) shared.push_back(item);
      }
      if (shared.empty()) return Json(false);
      mine = std::move(shared);
    } else if (key == "required" && mine.is_array() && value.is_array()) {
      mine = unique_concatenation(mine, value);
    } else if (key == "additionalProperties" ||
               (key == "items" && !mine.is_array() && !value.is_array())) {
      mine = both(mine, value);
    } else if (key == "anyOf") {
      if (mine.size() * value.size() > kUnionMax)
        return schema_error(place, "it has too many combinations of anyOf");
      Json pairs = Json::array();
      for (const auto& a : mine) {
        for (const auto& b : value) {
          HF_TRY_VOID(charge(a, place));
          HF_TRY_VOID(charge(b, place));
          pairs.push_back(both(a, b));
        }
      }
      mine = std::move(pairs);
    } else {
      return schema_error(place,
                          std::format("two different '{}' cannot be put together; write one", key));
    }
  }
  return left;
}

}  // namespace hf::grammar
