#pragma once
// A JSON text (RFC 8259) as a read-only tree that keeps every value's own bytes, so that schemas,
// tools and messages can be passed on unchanged and every fault has a place. One thread at a time.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hf::api {

enum class JsonKind : std::uint8_t { null, boolean, number, string, array, object };

enum class JsonTrouble : std::uint8_t {
  not_utf8,
  unexpected,  ///< A character that cannot stand here.
  ended,       ///< The text stops inside a value.
  too_deep,
  too_many,     ///< More values than the limit.
  bad_escape,   ///< Unknown escape or half of a surrogate pair.
  raw_control,  ///< A control character inside a string must be escaped.
  bad_number,
  duplicate_key,
  trailing,  ///< Text after the value.
};

struct JsonFault {
  JsonTrouble trouble = JsonTrouble::unexpected;
  std::size_t line = 1;    ///< From 1.
  std::size_t column = 1;  ///< In bytes, from 1.
};

struct JsonLimits {
  std::size_t depth_max = 128;
  std::size_t values_max = 2'000'000;
};

class JsonDocument;

/// One value; valid as long as its document. A default one is absent and false.
class Json {
 public:
  class Iterator;
  Json() = default;
  explicit operator bool() const { return document_ != nullptr; }
  [[nodiscard]] JsonKind kind() const;
  [[nodiscard]] bool is(JsonKind kind) const {
    return document_ != nullptr && this->kind() == kind;
  }
  /// For JsonKind::boolean.
  [[nodiscard]] bool truth() const;
  /// For JsonKind::number.
  [[nodiscard]] double number() const;
  /// The number, if it is whole (1, 1.0, 1e3) and fits.
  [[nodiscard]] std::optional<std::int64_t> integer() const;
  /// For JsonKind::string: decoded.
  [[nodiscard]] std::string_view text() const;
  /// The bytes of the value as they came.
  [[nodiscard]] std::string_view raw() const;
  /// Items or members.
  [[nodiscard]] std::size_t size() const;
  /// Inside an object: the member's name, decoded.
  [[nodiscard]] std::string_view key() const;
  /// Member of an object; absent if there is none.
  [[nodiscard]] Json operator[](std::string_view name) const;
  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] Iterator end() const;

 private:
  friend class JsonDocument;
  Json(const JsonDocument* document, std::uint32_t node) : document_(document), node_(node) {}
  const JsonDocument* document_ = nullptr;
  std::uint32_t node_ = 0;
};

class Json::Iterator {
 public:
  explicit Iterator(Json at) : at_(at) {}
  Json operator*() const { return at_; }
  Iterator& operator++();
  bool operator==(const Iterator& other) const { return at_.node_ == other.at_.node_; }

 private:
  Json at_;
};

class JsonDocument {
 public:
  static std::expected<JsonDocument, JsonFault> parse(std::string text,
                                                      const JsonLimits& limits = {});
  [[nodiscard]] Json root() const { return {this, 1}; }

  JsonDocument(JsonDocument&&) = default;
  JsonDocument& operator=(JsonDocument&&) = default;

 private:
  friend class Json;
  friend class Json::Iterator;
  friend class JsonReader;
  struct Node {
    JsonKind kind = JsonKind::null;
    bool truth = false;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t first = 0;  // Child; 0: none.
    std::uint32_t next = 0;   // Sibling; 0: none.
    std::uint32_t count = 0;
    std::string_view key = {};
    std::string_view text = {};
  };
  JsonDocument() = default;

  std::unique_ptr<const std::string> source_;
  std::vector<Node> nodes_;          // [0] is unused, [1] the root.
  std::deque<std::string> decoded_;  // Strings that had escapes.
};

}  // namespace hf::api
