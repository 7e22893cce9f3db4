// Strings and numbers of a JSON Schema.
#include <algorithm>
#include <array>
#include <cmath>
#include <format>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "grammar/number_ranges.hpp"
#include "grammar/regex.hpp"
#include "grammar/schema_compiler.hpp"

namespace hf::grammar {
namespace {

using Json = SchemaCompiler::Json;

struct Format {
  std::string_view name;
  std::string_view pattern;
};

#define HF_DATE                                                                                    \
  "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|"        \
  "02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])" \
  "00)"                                                                                            \
  "-02-29)"
#define HF_TIME \
  "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define HF_BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define HF_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

constexpr std::array kFormats = {
    Format{"date", "^" HF_DATE "$"},
    Format{"time", "^" HF_TIME "$"},
    Format{"date-time", "^" HF_DATE "T" HF_TIME "$"},
    Format{"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
    Format{"email",
           "^[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+){0,8}@" HF_LABEL "(\\." HF_LABEL "){1,4}$"},
    Format{"hostname", "^" HF_LABEL "(\\." HF_LABEL "){0,8}$"},
    Format{"ipv4", "^" HF_BYTE "(\\." HF_BYTE "){3}$"},
    Format{"ipv6", "^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$"},
    Format{"uri",
           "^[A-Za-z][A-Za-z0-9+.-]{0,15}:(//[A-Za-z0-9._~%-]+(:[0-9]{1,5})?)?"
           "([A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)(#[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?$"},
};

#undef HF_DATE
#undef HF_TIME
#undef HF_BYTE
#undef HF_LABEL

struct Bounds {
  std::optional<Bound> low = {};
  std::optional<Bound> high = {};
};

std::string_view low_key(const Json& schema) {
  return schema.contains("exclusiveMinimum") ? "exclusiveMinimum" : "minimum";
}
std::string_view high_key(const Json& schema) {
  return schema.contains("exclusiveMaximum") ? "exclusiveMaximum" : "maximum";
}

/// Of an inclusive and an exclusive bound the narrower one.
Result<Bounds> bounds_of(const Json& schema, const Place& place) {
  Bounds out;
  for (const std::string_view key :
       {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    const auto found = schema.find(key);
    if (found == schema.end()) continue;
    if (!found->is_number()) return schema_error(place.at(key), "a bound must be a number");
    const Bound bound{found->get<double>(), key.starts_with('e') ? Edge::excluded : Edge::included};
    const bool low = key.ends_with("inimum");
    auto& mine = low ? out.low : out.high;
    if (mine && (low ? mine->value > bound.value : mine->value < bound.value)) continue;
    mine = bound;
  }
  return out;
}

/// The bound as a whole number, exact where the schema wrote one; nothing: too far out to matter.
std::optional<std::int64_t> whole_bound(const Json& value, Edge edge, int step) {
  constexpr std::int64_t kFar = 999'999'999'999'999'998;
  if (value.is_number_integer() && !value.is_number_float()) {
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(kFar))
      return std::nullopt;
    const auto whole = value.get<std::int64_t>();
    if (whole > kFar || whole < -kFar) return std::nullopt;
    return whole + (edge == Edge::excluded ? step : 0);
  }
  const auto real = value.get<double>();
  if (std::abs(real) > static_cast<double>(kFar)) return std::nullopt;
  const auto rounded = step > 0 ? std::ceil(real) : std::floor(real);
  const bool next = edge == Edge::excluded && rounded == real;
  return static_cast<std::int64_t>(rounded) + (next ? step : 0);
}

}  // namespace

Result<std::string> SchemaCompiler::visit_string(const Json& schema, const Spot& spot) {
  const bool lengths = schema.contains("minLength") || schema.contains("maxLength");
  const bool pattern = schema.contains("pattern");
  const bool format = schema.contains("format");
  if (pattern && (lengths || format)) {
    return schema_error(
        spot.place.at("pattern"),
        "pattern cannot be put together with lengths or format; write all of it in pattern");
  }
  if (format && lengths) {
    return schema_error(spot.place.at("format"),
                        "format cannot be put together with lengths; use pattern");
  }
  if (lengths) {
    const auto least = HF_TRY(count(schema, "minLength", 0, spot));
    const auto most = HF_TRY(count(schema, "maxLength", limits_.repeat_max, spot));
    if (most < least)
      return schema_error(spot.place.at("maxLength"), "maxLength is below minLength");
    const auto upper = schema.contains("maxLength") ? std::to_string(most) : "";
    return rules_.add(std::format(R"("\"" {}{{{},{}}} "\"")", rules_.character(), least, upper));
  }
  if (!pattern && !format) return rules_.string();
  const std::string_view key = pattern ? "pattern" : "format";
  if (!schema[key].is_string()) return schema_error(spot.place.at(key), "it must be a string");
  std::string_view text = schema[key].get_ref<const std::string&>();
  if (format) {
    const auto known = std::ranges::find(kFormats, text, &Format::name);
    if (known == kFormats.end()) {
      return schema_error(spot.place.at(key),
                          "the format is not known here; use pattern, or leave it out");
    }
    text = known->pattern;
  }
  auto body = regex_to_gbnf(text, RegexTarget::json_string, rules_.character(), limits_);
  if (!body) return schema_error(spot.place.at(key), body.error().message);
  return rules_.add(R"("\"" )" + *body + R"( "\"")");
}

Result<std::string> SchemaCompiler::visit_integer(const Json& schema, const Spot& spot) {
  const auto bounds = HF_TRY(bounds_of(schema, spot.place));
  if (!bounds.low && !bounds.high) return rules_.integer();
  const auto whole = [&](const std::optional<Bound>& bound,
                         bool low) -> Result<std::optional<std::int64_t>> {
    if (!bound) return std::nullopt;
    const std::string_view key =
        low ? (bound->edge == Edge::excluded ? "exclusiveMinimum" : "minimum")
            : (bound->edge == Edge::excluded ? "exclusiveMaximum" : "maximum");
    const auto exact = whole_bound(schema[key], bound->edge, low ? 1 : -1);
    if (!exact && (bound->value > 0) == low) {
      return schema_error(spot.place.at(key), "the bound is beyond 18 digits; use a nearer one");
    }
    return exact;
  };
  const auto least = HF_TRY(whole(bounds.low, true));
  const auto most = HF_TRY(whole(bounds.high, false));
  const auto range = integer_range(least, most);
  if (!range) return schema_error(spot.place, "no whole number lies between the bounds");
  return rules_.add(*range);
}

Result<std::string> SchemaCompiler::visit_number(const Json& schema, const Spot& spot) {
  auto bounds = HF_TRY(bounds_of(schema, spot.place));
  // What is too far out to be written does not narrow anything.
  if (bounds.low && bounds.low->value <= -1e15) bounds.low.reset();
  if (bounds.high && bounds.high->value >= 1e15) bounds.high.reset();
  if (!bounds.low && !bounds.high) return rules_.number();
  if (bounds.low && !bound_fits(bounds.low->value)) {
    return schema_error(spot.place.at(low_key(schema)),
                        "the bound has more than 15 digits; write a rounder one");
  }
  if (bounds.high && !bound_fits(bounds.high->value)) {
    return schema_error(spot.place.at(high_key(schema)),
                        "the bound has more than 15 digits; write a rounder one");
  }
  const auto range = number_range(bounds.low, bounds.high);
  if (!range) return schema_error(spot.place, "no number lies between the bounds");
  return rules_.add(*range);
}

}  // namespace hf::grammar
