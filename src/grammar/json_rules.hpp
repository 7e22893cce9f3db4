#pragma once
// The GBNF rules a JSON grammar is put together from; the basic ones appear once they are used.
// Used by the schema compiler. Threads: one.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hf::grammar {

class JsonRules {
 public:
  /// All rules are named `root_name` or `root_name`-something.
  explicit JsonRules(std::string root_name) : root_name_(std::move(root_name)) {}

  // Names of the basic rules. Between values there is at most one space, behind ',' and ':'.
  std::string value();
  std::string object();
  std::string array();
  std::string string();
  /// One character inside a string, or one escape. Surrogates come in pairs only.
  std::string character();
  /// One character inside a string, never an escape.
  std::string plain_character();
  /// At most 16 digits before and after the point and 2 in the exponent: what fits a double.
  std::string number();
  std::string integer();

  /// A new rule with a generated name. Returns the name.
  std::string add(std::string body);
  /// A name for a rule that is defined later, by define().
  std::string reserve();
  void define(std::string_view name, std::string body);
  [[nodiscard]] const std::string& root_name() const { return root_name_; }
  [[nodiscard]] std::size_t size() const { return rules_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// All rules as GBNF text, one a line, the root first.
  [[nodiscard]] std::string text() const;

 private:
  /// True if it is new; the caller then defines it.
  bool use(std::string_view suffix, std::string& name);

  std::string root_name_;
  std::vector<std::pair<std::string, std::string>> rules_;
  std::vector<std::string> basic_;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace hf::grammar
