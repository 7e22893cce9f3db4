// JSON text of a schema to rules.
#include <cctype>
#include <format>
#include <vector>

#include <nlohmann/json.hpp>

#include "grammar/grammar.hpp"
#include "grammar/schema_compiler.hpp"

namespace hf::grammar {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMembersMax = 5'000;  // Keys of one object are searched one by one.

/// Bounds what the JSON reader and everything that walks its values has to bear.
Result<void> check_shape(std::string_view text, std::size_t depth_max) {
  struct Open {
    char bracket;
    std::size_t members;
  };
  std::vector<Open> open;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      open.push_back({c, 1});
    } else if ((c == '}' || c == ']') && !open.empty()) {
      open.pop_back();
    } else if (c == ',' && !open.empty() && ++open.back().members > kMembersMax &&
               open.back().bracket == '{') {
      return fail(
          Errc::invalid_argument,
          std::format("The JSON schema has an object with more than {} members at offset {}.",
                      kMembersMax, i));
    }
    if (open.size() > depth_max) {
      return fail(
          Errc::invalid_argument,
          std::format("The JSON schema is nested deeper than {} at offset {}.", depth_max, i));
    }
  }
  return {};
}

Result<Json> parse(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return fail(Errc::invalid_argument,
                std::format("The JSON schema is not valid JSON: there is an error at offset {}.",
                            error.byte),
                error.what());
  } catch (const Json::exception& error) {
    return fail(Errc::invalid_argument, "The JSON schema holds a number that is out of range.",
                error.what());
  }
}

}  // namespace

Result<std::string> schema_to_gbnf(std::string_view schema_json, std::string_view root_name,
                                   const Limits& limits) {
  constexpr std::size_t kJsonLevelsPerSchema = 4;
  for (const char c : root_name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-') root_name = {};
  }
  if (root_name.empty()) {
    return fail(Errc::invalid_argument, "A rule name must be made of letters, digits and '-'.");
  }
  if (schema_json.size() > limits.source_bytes_max) {
    return fail(Errc::invalid_argument,
                std::format("The JSON schema has {} bytes; at most {} are allowed.",
                            schema_json.size(), limits.source_bytes_max));
  }
  HF_TRY_VOID(check_shape(schema_json, limits.depth_max * kJsonLevelsPerSchema));
  const auto schema = HF_TRY(parse(schema_json));
  try {
    return SchemaCompiler(schema, root_name, limits).run();
  } catch (const Json::exception& error) {
    return fail(Errc::invalid_argument,
                "The JSON schema is malformed; a keyword has a value of the wrong kind.",
                error.what());
  }
}

}  // namespace hf::grammar
