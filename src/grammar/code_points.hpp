#pragma once
// Sets of Unicode code points, their UTF-8 byte ranges and their spelling in GBNF. Pure, any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hf::grammar {

struct CodePointRange {
  char32_t first = 0;
  char32_t last = 0;  ///< Inclusive.
  bool operator==(const CodePointRange&) const = default;
};

/// Immutable; ranges are sorted, disjoint, not adjacent and hold scalar values only.
class CodePointSet {
 public:
  CodePointSet() = default;
  /// Any order, overlaps welcome; surrogates and values above U+10FFFF are dropped.
  explicit CodePointSet(std::vector<CodePointRange> ranges);
  static CodePointSet all();
  [[nodiscard]] CodePointSet complement() const;
  [[nodiscard]] CodePointSet without(const CodePointSet& other) const;
  [[nodiscard]] CodePointSet with(const CodePointSet& other) const;
  [[nodiscard]] bool contains(char32_t code_point) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  [[nodiscard]] const std::vector<CodePointRange>& ranges() const { return ranges_; }

 private:
  std::vector<CodePointRange> ranges_;
};

struct ByteRange {
  std::uint8_t first = 0;
  std::uint8_t last = 0;  ///< Inclusive.
  auto operator<=>(const ByteRange&) const = default;
};
using ByteSequence = std::vector<ByteRange>;  ///< 1 to 4 ranges: one UTF-8 shape.

/// Exactly the UTF-8 encodings of the set, as few sequences.
std::vector<ByteSequence> utf8_sequences(const CodePointSet& set);

/// Reads one code point at `at` and moves `at` behind it; `text` is valid UTF-8.
char32_t read_code_point(std::string_view text, std::size_t& at);

/// The text as a GBNF literal with its quotes; `text` is valid UTF-8.
std::string gbnf_literal(std::string_view text);
/// The set as a GBNF class, e.g. [a-z_]; "." for the full set. Not for the empty set.
std::string gbnf_class(const CodePointSet& set);

}  // namespace hf::grammar
