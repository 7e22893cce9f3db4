#pragma once
// JSON Schema to GBNF rules. Used by schema_to_gbnf() and compile(). One thread.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.hpp"
#include "grammar/grammar.hpp"
#include "grammar/json_rules.hpp"
#include "grammar/schema_algebra.hpp"

namespace hf::grammar {

/// Narrower than the standard in places: declared keys come in their order; keys not declared are
/// only written if additionalProperties says so (or nothing is declared at all); a schema without
/// type takes the types its keywords speak of; prefixItems are all required unless minItems or
/// maxItems says otherwise; oneOf is taken as anyOf.
class SchemaCompiler {
 public:
  using Json = nlohmann::ordered_json;

  SchemaCompiler(const Json& root, std::string_view root_name, const Limits& limits);
  Result<std::string> run();

 private:
  struct Property;
  /// Where in the rules the schema at hand stands.
  struct Spot {
    Place place = {};
    std::uint32_t owner = 0;  ///< The referenced schema whose rule is being written.
    bool inside = false;      ///< At least one character stands before it in that rule.
    [[nodiscard]] Spot at(std::string_view key) const { return {place.at(key), owner, inside}; }
    [[nodiscard]] Spot at(std::size_t index) const { return {place.at(index), owner, inside}; }
    [[nodiscard]] Spot within() const { return {place, owner, true}; }
  };
  /// A schema that some $ref leads to, or the root: one rule each.
  struct Target {
    const Json* schema = nullptr;
    std::string rule;
    Place place;
    std::vector<std::uint32_t> begins_with;  ///< Targets that may stand at its very start.
  };

  // Each returns a GBNF expression that may be repeated as it stands.
  Result<std::string> visit(const Json& schema, const Spot& spot);
  Result<std::string> visit_flat(const Json& schema, const Spot& spot);
  Result<std::string> visit_reference(const Json& reference, const Spot& spot);
  Result<std::string> visit_union(Json schema, const Spot& spot);
  Result<std::string> visit_enum(const Json& schema, const Spot& spot);
  Result<std::string> visit_type(const std::string& type, const Json& schema, const Spot& spot);
  Result<std::string> visit_string(const Json& schema, const Spot& spot);
  Result<std::string> visit_integer(const Json& schema, const Spot& spot);
  Result<std::string> visit_number(const Json& schema, const Spot& spot);
  Result<std::string> visit_array(const Json& schema, const Spot& spot);
  Result<std::string> visit_object(const Json& schema, const Spot& spot);

  Result<std::vector<std::string>> types_of(const Json& schema, const Spot& spot);
  Result<std::vector<Property>> properties_of(const Json& schema, const Spot& spot);
  Result<std::string> additional_member(const Json& schema, const std::vector<Property>& named,
                                        const Spot& spot);
  std::string key_except(const std::vector<Property>& named);
  std::string chain(const std::vector<Property>& named, const std::string& additional);
  Result<std::string> list(const std::vector<std::string>& first, const std::string& rest,
                           std::uint64_t least, std::optional<std::uint64_t> most, const Spot& spot);
  Result<std::uint64_t> count(const Json& schema, std::string_view key, std::uint64_t otherwise,
                              const Spot& spot) const;
  Result<void> check_progress() const;
  Result<void> check_size(const Spot& spot) const;

  const Json& root_;
  const Limits& limits_;
  SchemaAlgebra algebra_;
  JsonRules rules_;
  std::vector<Target> targets_;
  std::map<const Json*, std::uint32_t> target_index_;
};

}  // namespace hf::grammar
