#pragma once
// Writes JSON by appending to a string: no tree, no allocation but the string's. Any thread.

#include <concepts>
#include <cstdint>
#include <format>
#include <iterator>
#include <string>
#include <string_view>

namespace hf::api {

/// Appends `text` with quotes and escapes; bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);
/// Shortest text that reads back the same; not-a-number and infinities become null.
void append_json_number(std::string& out, double value);
void append_json_number(std::string& out, float value);

/// Objects and arrays; commas are set by itself. The caller keeps brackets in balance.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& open_object() { return open('{'); }
  JsonWriter& close_object() { return close('}'); }
  JsonWriter& open_array() { return open('['); }
  JsonWriter& close_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::same_as<bool> auto truth) { return raw(truth ? "true" : "false"); }
  JsonWriter& value(std::floating_point auto number) {
    separate();
    append_json_number(out_, number);
    return *this;
  }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  JsonWriter& value(T number) {
    separate();
    std::format_to(std::back_inserter(out_), "{}", number);
    return *this;
  }
  JsonWriter& null() { return raw("null"); }
  /// JSON text as it is.
  JsonWriter& raw(std::string_view json);

  template <class T>
  JsonWriter& member(std::string_view name, T&& item) {
    key(name);
    return value(std::forward<T>(item));
  }
  JsonWriter& member_raw(std::string_view name, std::string_view json) {
    return key(name).raw(json);
  }
  JsonWriter& member_null(std::string_view name) { return key(name).null(); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();

  std::string& out_;
  bool comma_ = false;
};

}  // namespace hf::api
