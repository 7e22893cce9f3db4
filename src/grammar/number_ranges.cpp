#include "grammar/number_ranges.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <format>
#include <string_view>
#include <vector>

namespace hf::grammar {
namespace {

constexpr std::size_t kDigitsMax = 15;
constexpr std::int64_t kIntegerDefaultMax = 9'999'999'999'999'999;
constexpr std::int64_t kIntegerMax = 999'999'999'999'999'999;
constexpr std::size_t kFractionMax = 10;

std::string digit_class(char first, char last) {
  return first == last ? std::format("[{}]", first) : std::format("[{}-{}]", first, last);
}

std::string any_digits(std::size_t least, std::size_t most) {
  if (most == 0) return "";
  return least == most ? std::format("[0-9]{{{}}}", most)
                       : std::format("[0-9]{{{},{}}}", least, most);
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : " | ") + part;
  return "(" + out + ")";
}

/// `low` and `high` have the same number of digits, low <= high.
std::string digits_between(std::string_view low, std::string_view high) {
  if (low.empty()) return "";
  const auto rest = low.size() - 1;
  if (low.find_first_not_of('0') == std::string_view::npos &&
      high.find_first_not_of('9') == std::string_view::npos) {
    return any_digits(low.size(), low.size());
  }
  if (low.front() == high.front()) {
    return digit_class(low.front(), low.front()) + " " +
           digits_between(low.substr(1), high.substr(1));
  }
  std::vector<std::string> parts;
  auto first = low.front();
  auto last = high.front();
  if (low.substr(1).find_first_not_of('0') != std::string_view::npos) {
    parts.push_back(digit_class(first, first) + " " +
                    digits_between(low.substr(1), std::string(rest, '9')));
    ++first;
  }
  std::string top;
  if (high.substr(1).find_first_not_of('9') != std::string_view::npos) {
    top = digit_class(last, last) + " " + digits_between(std::string(rest, '0'), high.substr(1));
    --last;
  }
  if (first <= last) parts.push_back(digit_class(first, last) + " " + any_digits(rest, rest));
  if (!top.empty()) parts.push_back(top);
  return join(parts);
}

/// 0 <= low <= high.
std::string magnitudes(std::int64_t low, std::int64_t high) {
  std::vector<std::string> parts;
  const auto high_text = std::to_string(high);
  for (auto length = std::to_string(low).size(); length <= high_text.size(); ++length) {
    const auto least = length == 1 ? "0" : "1" + std::string(length - 1, '0');
    const auto from = std::to_string(low).size() == length ? std::to_string(low) : least;
    const auto to = high_text.size() == length ? high_text : std::string(length, '9');
    parts.push_back(digits_between(from, to));
  }
  return join(parts);
}

struct Decimal {
  std::int64_t whole = 0;
  std::string fraction = {};  ///< Without trailing zeros.
  Edge edge = Edge::included;
};

/// Shortest decimal text of a non-negative double, without exponent.
std::string fixed_text(double value) {
  std::array<char, 400> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr;
  return {text.data(), end};
}

Decimal decimal(double magnitude, Edge edge) {
  const auto text = fixed_text(magnitude);
  const auto point = std::min(text.find('.'), text.size());
  Decimal out{.whole = std::strtoll(text.substr(0, point).c_str(), nullptr, 10), .edge = edge};
  if (point < text.size()) out.fraction = text.substr(point + 1);
  while (!out.fraction.empty() && out.fraction.back() == '0') out.fraction.pop_back();
  return out;
}

/// The digits behind one whole number, with a bound on either side or none.
class Fraction {
 public:
  Fraction(const Decimal* low, const Decimal* high, std::size_t digits_max)
      : low_(low), high_(high), digits_max_(digits_max) {}

  /// The point and the digits, or nothing behind the whole number. Nothing: out of bounds.
  [[nodiscard]] std::optional<std::string> expression() const {
    const auto digits = from(0, low_ != nullptr, high_ != nullptr, false);
    const bool bare = stops(0, low_ != nullptr, high_ != nullptr);
    if (digits)
      return bare ? std::format(R"(("." {})?)", *digits) : std::format(R"("." {})", *digits);
    if (bare) return "";
    return std::nullopt;
  }

 private:
  static char digit_of(const Decimal* bound, std::size_t i) {
    return i < bound->fraction.size() ? bound->fraction[i] : '0';
  }

  /// The number may end before digit i. `at_low`, `at_high`: equal to that bound so far.
  [[nodiscard]] bool stops(std::size_t i, bool at_low, bool at_high) const {
    if (at_low && (i < low_->fraction.size() || low_->edge == Edge::excluded)) return false;
    return !at_high || i < high_->fraction.size() || high_->edge == Edge::included;
  }

  /// Digits from i on; `may_stop`: none is enough here.
  [[nodiscard]] std::optional<std::string> from(std::size_t i, bool at_low, bool at_high,
                                                bool may_stop) const {
    if (!at_low && !at_high) {
      const auto left = digits_max_ - i;
      if (left == 0 && !may_stop) return std::nullopt;
      return any_digits(may_stop ? 0 : 1, left);
    }
    const bool stop = may_stop && stops(i, at_low, at_high);
    std::vector<std::string> parts;
    if (i < digits_max_) {
      auto first = at_low ? digit_of(low_, i) : '0';
      auto last = at_high ? digit_of(high_, i) : '9';
      const auto tight = [&](char digit, bool low, bool high) {
        if (const auto rest = from(i + 1, low, high, true))
          parts.push_back(digit_class(digit, digit) + " " + *rest);
      };
      if (first == last) {
        tight(first, at_low, at_high);
      } else if (first < last) {
        if (at_low) tight(first++, true, false);
        if (at_high) tight(last--, false, true);
        if (first <= last)
          parts.push_back(digit_class(first, last) + " " + any_digits(0, digits_max_ - i - 1));
      }
    }
    if (parts.empty()) return stop ? std::optional<std::string>("") : std::nullopt;
    return join(parts) + (stop ? "?" : "");
  }

  const Decimal* low_;
  const Decimal* high_;
  std::size_t digits_max_;
};

/// Digits behind the point that leave the number exact enough beside this bound.
std::size_t fraction_digits(const Decimal& bound) {
  const auto room = kDigitsMax - std::min(kDigitsMax - 1, std::to_string(bound.whole).size());
  return std::max(bound.fraction.size(), std::min(room, kFractionMax));
}

/// low <= x <= high for x >= 0.
std::optional<std::string> magnitude_range(const Decimal& low, const std::optional<Decimal>& high) {
  constexpr std::int64_t kWholeMax = 999'999'999'999'999;
  const auto low_digits = fraction_digits(low);
  const auto high_digits = high ? fraction_digits(*high) : low_digits;
  const auto top = high ? high->whole : kWholeMax;
  if (low.whole > top) return std::nullopt;
  std::vector<std::string> parts;
  const auto put = [&parts](const std::string& whole, const std::optional<std::string>& fraction) {
    if (fraction) parts.push_back(whole + " " + *fraction);
  };
  const auto exactly = [](std::int64_t whole) { return std::format("\"{}\"", whole); };
  if (high && low.whole == high->whole) {
    put(exactly(low.whole), Fraction(&low, &*high, std::max(low_digits, high_digits)).expression());
  } else {
    put(exactly(low.whole), Fraction(&low, nullptr, low_digits).expression());
    const auto last = high ? top - 1 : top;
    if (low.whole + 1 <= last) {
      put(magnitudes(low.whole + 1, last), Fraction(nullptr, nullptr, high_digits).expression());
    }
    if (high) put(exactly(top), Fraction(nullptr, &*high, high_digits).expression());
  }
  if (parts.empty()) return std::nullopt;
  return join(parts);
}

}  // namespace

std::optional<std::string> integer_range(std::optional<std::int64_t> low,
                                         std::optional<std::int64_t> high) {
  const auto reach = [](const std::optional<std::int64_t>& bound) {
    return bound && std::abs(*bound) > kIntegerDefaultMax / 10 ? kIntegerMax : kIntegerDefaultMax;
  };
  const auto least = low.value_or(-reach(high));
  const auto most = high.value_or(reach(low));
  if (least > most) return std::nullopt;
  std::vector<std::string> parts;
  if (most >= 0) parts.push_back(magnitudes(std::max<std::int64_t>(least, 0), most));
  if (least < 0) {
    parts.push_back("\"-\" " + magnitudes(most >= 0 ? 1 : -most, -least));
  }
  return join(parts);
}

bool bound_fits(double value) {
  if (!std::isfinite(value) || std::abs(value) >= 1e15) return false;
  const auto bound = decimal(std::abs(value), Edge::included);
  return std::to_string(bound.whole).size() + bound.fraction.size() <= kDigitsMax;
}

std::optional<std::string> number_range(std::optional<Bound> low, std::optional<Bound> high) {
  std::vector<std::string> parts;
  if (!high || high->value >= 0) {
    const bool from_zero = !low || low->value < 0;
    const auto least = from_zero ? Decimal{} : decimal(low->value, low->edge);
    std::optional<Decimal> most;
    if (high) most = decimal(std::abs(high->value), high->edge);
    if (const auto part = magnitude_range(least, most)) parts.push_back(*part);
  }
  if (!low || low->value < 0) {
    const bool to_zero = !high || high->value >= 0;
    const auto least =
        to_zero ? Decimal{.edge = Edge::excluded} : decimal(-high->value, high->edge);
    std::optional<Decimal> most;
    if (low) most = decimal(-low->value, low->edge);
    if (const auto part = magnitude_range(least, most)) parts.push_back("\"-\" " + *part);
  }
  if (parts.empty()) return std::nullopt;
  return join(parts);
}

}  // namespace hf::grammar
