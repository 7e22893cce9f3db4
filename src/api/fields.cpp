#include "api/fields.hpp"

#include <algorithm>
#include <cmath>

namespace hf::api {
namespace {

TextId wanted(JsonKind kind) {
  switch (kind) {
    case JsonKind::boolean:
      return TextId::want_boolean;
    case JsonKind::number:
      return TextId::want_number;
    case JsonKind::string:
      return TextId::want_string;
    case JsonKind::array:
      return TextId::want_array;
    case JsonKind::null:
    case JsonKind::object:
      break;
  }
  return TextId::want_object;
}

constexpr std::size_t kQuotedMax = 64;

}  // namespace

Fields::Fields(Json object, std::string path, Language language)
    : object_(object), path_(std::move(path)), language_(language) {
  if (object.is(JsonKind::object)) return;
  const auto message = path_.empty() ? std::string(pattern(language, TextId::body_not_object))
                                     : say(language, TextId::want_object, path_);
  fault_ = Fault({Errc::invalid_argument, message, {}, path_}, "invalid_type");
  object_ = {};
}

std::string Fields::path(std::string_view name) const {
  if (path_.empty()) return std::string(name);
  return name.empty() ? path_ : std::format("{}.{}", path_, name);
}

void Fields::fail_with(Fault fault) {
  if (!fault_) fault_ = std::move(fault);
}

void Fields::fail_with(std::string_view name, std::string message, std::string_view code) {
  fail_with(Fault({Errc::invalid_argument, std::move(message), {}, path(name)}, code));
}

bool Fields::has(std::string_view name) const {
  const auto found = object_[name];
  return found && !found.is(JsonKind::null);
}

Json Fields::take(std::string_view name) {
  known_.push_back(name);
  if (!good()) return {};
  const auto found = object_[name];
  return found.is(JsonKind::null) ? Json() : found;
}

Json Fields::take(std::string_view name, JsonKind kind) {
  const auto found = take(name);
  if (!found || found.is(kind)) return found;
  fail_with(name, say(language_, wanted(kind), path(name)), "invalid_type");
  return {};
}

void Fields::text(std::string_view name, std::string& out) {
  if (const auto found = take(name, JsonKind::string)) out = found.text();
}

void Fields::flag(std::string_view name, bool& out) {
  if (const auto found = take(name, JsonKind::boolean)) out = found.truth();
}

void Fields::number(std::string_view name, double min, double max, float& out) {
  const auto found = take(name, JsonKind::number);
  if (!found) return;
  const auto value = found.number();
  if (value < min || value > max) {
    fail(name, TextId::out_of_range, found.raw().substr(0, kQuotedMax), min, max);
  }
  out = static_cast<float>(value);
}

void Fields::integer(std::string_view name, std::int64_t min, std::int64_t max, std::int64_t& out) {
  const auto found = take(name, JsonKind::number);
  if (!found) return;
  const auto value = found.integer();
  if (!value && std::trunc(found.number()) != found.number()) {
    fail_with(name, say(language_, TextId::want_integer, path(name)), "invalid_type");
  } else if (!value || *value < min || *value > max) {
    fail(name, TextId::out_of_range, found.raw().substr(0, kQuotedMax), min, max);
  } else {
    out = *value;
  }
}

void Fields::texts(std::string_view name, std::vector<std::string>& out) {
  const auto found = take(name);
  if (!found) return;
  if (found.is(JsonKind::string)) {
    out.emplace_back(found.text());
    return;
  }
  if (!found.is(JsonKind::array)) return fail(name, TextId::want_array);
  for (const auto item : found) {
    if (!item.is(JsonKind::string)) {
      const auto place = item_path(name, out.size());
      return fail_with(place, say(language_, TextId::want_string, path(place)), "invalid_type");
    }
    out.emplace_back(item.text());
  }
}

std::optional<std::string> Fields::word(std::string_view name,
                                        std::initializer_list<std::string_view> words) {
  const auto found = take(name, JsonKind::string);
  if (!found) return std::nullopt;
  if (std::ranges::find(words, found.text()) != words.end()) return std::string(found.text());
  std::string list;
  for (const auto word : words) list += std::format("{}'{}'", list.empty() ? "" : ", ", word);
  fail(name, TextId::want_one_of, list);
  return std::nullopt;
}

void Fields::accept(std::initializer_list<std::string_view> names) {
  for (const auto name : names) take(name);
}

void Fields::only(std::string_view name, std::string_view json) {
  const auto found = take(name);
  if (!found || found.raw() == json) return;
  fail_with(name, say(language_, TextId::not_supported_value, path(name), json),
            "unsupported_value");
}

void Fields::unsupported(std::initializer_list<std::string_view> names) {
  for (const auto name : names) {
    if (!take(name)) continue;
    fail_with(name, say(language_, TextId::not_supported, path(name)), "unsupported_parameter");
  }
}

void Fields::require(std::string_view name) {
  if (!good() || has(name)) return;
  fail_with(name, say(language_, TextId::missing_field, path(name)), "missing_required_parameter");
}

Checked<void> Fields::finish() {
  if (fault_) return std::unexpected(*fault_);
  for (const auto member : object_) {
    if (member.is(JsonKind::null) || std::ranges::contains(known_, member.key())) continue;
    const auto name = std::string(member.key().substr(0, kQuotedMax));
    return refuse(path(name), say(language_, TextId::unknown_field, path(name)),
                  "unknown_parameter");
  }
  return {};
}

void Fields::merge(Fields& inner) {
  if (auto finished = inner.finish(); !finished) fail_with(std::move(finished).error());
}

std::string item_path(std::string_view list, std::size_t index) {
  return std::format("{}[{}]", list, index);
}

}  // namespace hf::api
