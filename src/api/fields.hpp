#pragma once
// Reads the members of one request object: each is taken by name, checked, or refused by name; what
// nobody took is refused too, so that no parameter is ever silently ignored. One thread.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/fault.hpp"
#include "api/json.hpp"
#include "api/texts.hpp"

namespace hf::api {

/// The first fault is kept; after it every call does nothing. A member that is null counts as
/// absent.
class Fields {
 public:
  /// `path`: where the object is in the request, "" for the request itself, else "tools[0]".
  Fields(Json object, std::string path, Language language);

  /// The member, marked as known; absent if it is missing or null.
  Json take(std::string_view name);
  Json take(std::string_view name, JsonKind kind);
  [[nodiscard]] bool has(std::string_view name) const;

  void text(std::string_view name, std::string& out);
  void flag(std::string_view name, bool& out);
  void number(std::string_view name, double min, double max, float& out);
  void integer(std::string_view name, std::int64_t min, std::int64_t max, std::int64_t& out);
  /// A string or an array of strings.
  void texts(std::string_view name, std::vector<std::string>& out);
  /// One of the words; nothing if absent.
  std::optional<std::string> word(std::string_view name,
                                  std::initializer_list<std::string_view> words);

  /// Known and without effect here; any value.
  void accept(std::initializer_list<std::string_view> names);
  /// Known, but only this value, written as JSON ("false"), can be served.
  void only(std::string_view name, std::string_view json);
  /// Known, but cannot be served.
  void unsupported(std::initializer_list<std::string_view> names);
  void require(std::string_view name);

  template <class... Args>
  void fail(std::string_view name, TextId id, const Args&... args) {
    fail_with(name, say(language_, id, path(name), args...));
  }
  void fail_with(std::string_view name, std::string message,
                 std::string_view code = "invalid_value");
  void fail_with(Fault fault);
  [[nodiscard]] bool good() const { return !fault_; }
  /// "tools[0].function" for "function".
  [[nodiscard]] std::string path(std::string_view name) const;
  [[nodiscard]] Language language() const { return language_; }
  [[nodiscard]] Json object() const { return object_; }

  /// The first fault, or a member that nobody took.
  Checked<void> finish();
  /// Finishes the fields of an inner object; its fault becomes this one's.
  void merge(Fields& inner);

 private:
  Json object_;
  std::string path_;
  Language language_;
  std::vector<std::string_view> known_;
  std::optional<Fault> fault_;
};

/// "messages[2]" from "messages" and 2.
std::string item_path(std::string_view list, std::size_t index);

}  // namespace hf::api
