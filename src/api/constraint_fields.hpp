#pragma once
// The ways to constrain an output: response_format (chat), text.format (responses), and vLLM's
// guided_* and structured_outputs. At most one may be set. One thread.

#include <string_view>

#include "api/fields.hpp"
#include "wire/messages.hpp"

namespace hf::api {

class ConstraintReader {
 public:
  ConstraintReader(Fields& fields, wire::Grammar& grammar) : fields_(fields), grammar_(grammar) {}

  /// {"type": "text" | "json_object" | "json_schema", "json_schema": {"schema": ..}}
  void response_format();
  /// {"format": {"type": .., "schema": ..}, "verbosity": "medium"}
  void text_format();
  void guided();
  /// The member that constrains the output; empty: none.
  [[nodiscard]] std::string_view name() const { return name_; }

 private:
  bool claim(std::string_view name);
  void set_schema(Fields& fields, std::string_view name, std::string_view member, Json schema);
  void read_choice(Fields& fields, std::string_view name, std::string_view member);
  void read_text(Fields& fields, std::string_view name, std::string_view member,
                 wire::GrammarKind kind);

  Fields& fields_;
  wire::Grammar& grammar_;
  std::string_view name_ = {};
};

}  // namespace hf::api
