#pragma once
// JSON Schemas as values: which keywords are known, where references lead, and one plain schema
// for allOf, $ref with neighbours and a base beside anyOf. Used by the schema compiler. One thread.

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.hpp"

namespace hf::grammar {

/// Where a schema stands, as a JSON pointer in URI fragment form ("#/properties/a").
struct Place {
  std::string pointer = "#";
  std::size_t depth = 0;
  [[nodiscard]] Place at(std::string_view key) const;
  [[nodiscard]] Place at(std::size_t index) const;
};

std::unexpected<Error> schema_error(const Place& place, std::string_view what);

/// True for the keywords that constrain nothing (title, description, ...).
bool is_annotation(std::string_view keyword);

class SchemaAlgebra {
 public:
  using Json = nlohmann::ordered_json;

  /// `root` must outlive this.
  SchemaAlgebra(const Json& root, std::size_t depth_max) : root_(root), depth_max_(depth_max) {}

  /// Errors: invalid_argument naming the keyword that is unknown or not supported.
  static Result<void> check_keywords(const Json& schema, const Place& place);
  /// The schema a local "$ref" points to. Errors: invalid_argument.
  Result<const Json*> resolve(const Json& reference, const Place& place) const;
  /// The same schema without $ref, allOf, oneOf, const, nullable and annotations; false if nothing
  /// can satisfy it. oneOf becomes anyOf.
  Result<Json> flatten(const Json& schema, const Place& place);
  /// A flat schema for what satisfies both flat schemas.
  Result<Json> merge(Json left, const Json& right, const Place& place);

 private:
  Result<void> charge(const Json& schema, const Place& place);
  Result<Json> own_keywords(const Json& schema, const Place& place);

  const Json& root_;
  const std::size_t depth_max_;
  std::size_t work_ = 0;
};

}  // namespace hf::grammar
