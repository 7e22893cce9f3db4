#include "api/constraint_fields.hpp"

namespace hf::api {
namespace {

constexpr std::size_t kChoicesMax = 1024;

}  // namespace

// False, with a fault, if another member constrains the output already.
bool ConstraintReader::claim(std::string_view name) {
  if (!fields_.good()) return false;
  if (!name_.empty()) {
    fields_.fail(name, TextId::one_constraint, name_);
    return false;
  }
  name_ = name;
  return true;
}

void ConstraintReader::set_schema(Fields& fields, std::string_view name, std::string_view member,
                                  Json schema) {
  if (!claim(name)) return;
  grammar_.kind = wire::GrammarKind::json_schema;
  if (schema.is(JsonKind::object) || schema.is(JsonKind::boolean)) {
    grammar_.text = schema.raw();
  } else if (schema.is(JsonKind::string)) {
    grammar_.text = schema.text();  // vLLM takes the schema's text, too.
  } else {
    fields.fail(member, TextId::want_object);
  }
}

void ConstraintReader::read_choice(Fields& fields, std::string_view name, std::string_view member) {
  const auto list = fields.take(member, JsonKind::array);
  if (!list || !claim(name)) return;
  if (list.size() == 0) return fields.fail(member, TextId::empty_list);
  if (list.size() > kChoicesMax) {
    return fields.fail(member, TextId::too_long_list, list.size(), kChoicesMax);
  }
  grammar_.kind = wire::GrammarKind::choice;
  fields.texts(member, grammar_.choices);
}

void ConstraintReader::read_text(Fields& fields, std::string_view name, std::string_view member,
                                 wire::GrammarKind kind) {
  const auto text = fields.take(member, JsonKind::string);
  if (!text || !claim(name)) return;
  if (text.text().empty()) return fields.fail(member, TextId::empty_text);
  grammar_.kind = kind;
  grammar_.text = text.text();
}

void ConstraintReader::response_format() {
  const auto format = fields_.take("response_format");
  if (!format || !fields_.good()) return;
  Fields inner(format, fields_.path("response_format"), fields_.language());
  inner.require("type");
  const auto type = inner.word("type", {"text", "json_object", "json_schema"});
  if (type == "json_object" && claim("response_format")) {
    grammar_.kind = wire::GrammarKind::json_object;
  } else if (type == "json_schema") {
    inner.require("json_schema");
    const auto outer = inner.take("json_schema");
    if (outer && inner.good()) {
      Fields named(outer, inner.path("json_schema"), fields_.language());
      // Both strict and lax answers follow the schema here.
      named.accept({"name", "description", "strict"});
      const auto schema = named.take("schema");
      if (!schema) named.fail("schema", TextId::schema_missing);
      if (schema) set_schema(named, "response_format", "schema", schema);
      inner.merge(named);
    }
  }
  fields_.merge(inner);
}

void ConstraintReader::text_format() {
  const auto text = fields_.take("text");
  if (!text || !fields_.good()) return;
  Fields outer(text, fields_.path("text"), fields_.language());
  outer.only("verbosity", "\"medium\"");
  if (const auto format = outer.take("format"); format && outer.good()) {
    Fields inner(format, outer.path("format"), fields_.language());
    inner.require("type");
    const auto type = inner.word("type", {"text", "json_object", "json_schema"});
    if (type == "json_object" && claim("text")) {
      grammar_.kind = wire::GrammarKind::json_object;
    } else if (type == "json_schema") {
      inner.accept({"name", "description", "strict"});
      const auto schema = inner.take("schema");
      if (!schema) inner.fail("schema", TextId::schema_missing);
      if (schema) set_schema(inner, "text", "schema", schema);
    }
    outer.merge(inner);
  }
  fields_.merge(outer);
}

void ConstraintReader::guided() {
  if (const auto schema = fields_.take("guided_json")) {
    set_schema(fields_, "guided_json", "guided_json", schema);
  }
  read_text(fields_, "guided_regex", "guided_regex", wire::GrammarKind::regex);
  read_text(fields_, "guided_grammar", "guided_grammar", wire::GrammarKind::gbnf);
  read_choice(fields_, "guided_choice", "guided_choice");
  const auto outputs = fields_.take("structured_outputs");
  if (!outputs || !fields_.good()) return;
  constexpr std::string_view kName = "structured_outputs";
  Fields inner(outputs, fields_.path(kName), fields_.language());
  if (const auto schema = inner.take("json")) set_schema(inner, kName, "json", schema);
  read_text(inner, kName, "regex", wire::GrammarKind::regex);
  read_text(inner, kName, "grammar", wire::GrammarKind::gbnf);
  read_choice(inner, kName, "choice");
  bool object = false;
  inner.flag("json_object", object);
  if (object && claim(kName)) grammar_.kind = wire::GrammarKind::json_object;
  fields_.merge(inner);
}

}  // namespace hf::api
