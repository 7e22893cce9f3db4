#pragma once
// The registry's own small files: one JSON object of strings and whole numbers. Any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace hf::registry {

using FlatValue = std::variant<std::string, std::int64_t>;

/// Fields in order; values other than strings and whole numbers are dropped on reading.
class FlatJson {
 public:
  /// Errors: data_corrupt, not a JSON object.
  static Result<FlatJson> parse(std::string_view text);
  void set(std::string name, FlatValue value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  /// Empty when absent or a number.
  [[nodiscard]] std::string text(std::string_view name) const;
  /// 0 when absent, negative values included.
  [[nodiscard]] std::uint64_t count(std::string_view name) const;
  /// Indented, with a line end.
  [[nodiscard]] std::string write() const;

 private:
  std::vector<std::pair<std::string, FlatValue>> fields_;
};

}  // namespace hf::registry
