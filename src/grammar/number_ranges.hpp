#pragma once
// Decimal numbers within bounds, as GBNF expressions. Pure, any thread.

#include <cstdint>
#include <optional>
#include <string>

namespace hf::grammar {

/// Exactly the integers from `low` to `high`, without leading zeros or "-0". An absent bound means
/// as far as 16 digits go (18 where the other bound needs them). Nothing: there is no such integer.
/// Bounds are within +-999,999,999,999,999,999.
std::optional<std::string> integer_range(std::optional<std::int64_t> low,
                                         std::optional<std::int64_t> high);

enum class Edge : unsigned char { included, excluded };

struct Bound {
  double value = 0;
  Edge edge = Edge::included;
};

/// Decimal numbers without exponent within the bounds, with at most 15 digits in all where a bound
/// is near, so that rounding to a double cannot leave them. Nothing: there is no such number.
/// Requires bound_fits() of both.
std::optional<std::string> number_range(std::optional<Bound> low, std::optional<Bound> high);
/// At most 15 digits before the point, at most 15 in all (leading zeros behind the point count).
bool bound_fits(double value);

}  // namespace hf::grammar
