#pragma once
// What the fake engine is to do wrong, from its command line; prompts ask for more (see main.cpp).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace hf::fake {

struct Script {
  std::map<std::string, std::string, std::less<>> values;

  /// Pairs "--name value"; a name without a value gets "".
  static Script parse(int count, char** words) {
    Script script;
    for (int i = 1; i < count; ++i) {
      const std::string_view word = words[i];
      if (!word.starts_with("--")) continue;
      const bool has_value = i + 1 < count && !std::string_view(words[i + 1]).starts_with("--");
      script.values[std::string(word.substr(2))] = has_value ? words[i + 1] : "";
    }
    return script;
  }
  [[nodiscard]] bool has(std::string_view name) const { return values.contains(name); }
  [[nodiscard]] std::string text(std::string_view name) const {
    const auto found = values.find(name);
    return found == values.end() ? "" : found->second;
  }
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t otherwise) const {
    const auto value = text(name);
    return value.empty() ? otherwise : std::stoull(value);
  }
};

}  // namespace hf::fake
