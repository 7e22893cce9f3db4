#include "grammar/code_points.hpp"

#include <algorithm>
#include <array>
#include <format>

namespace hf::grammar {
namespace {

constexpr char32_t kLast = 0x10FFFF;

struct Encoded {
  std::array<std::uint8_t, 4> bytes{};
  std::size_t size = 0;
};

Encoded encode(char32_t c) {
  const auto tail = [c](unsigned shift) {
    return static_cast<std::uint8_t>(0x80U | ((c >> shift) & 0x3FU));
  };
  if (c < 0x80) return {{static_cast<std::uint8_t>(c)}, 1};
  if (c < 0x800) return {{static_cast<std::uint8_t>(0xC0U | (c >> 6U)), tail(0)}, 2};
  if (c < 0x10000) {
    return {{static_cast<std::uint8_t>(0xE0U | (c >> 12U)), tail(6), tail(0)}, 3};
  }
  return {{static_cast<std::uint8_t>(0xF0U | (c >> 18U)), tail(12), tail(6), tail(0)}, 4};
}

/// `first` and `last` have the same encoded length. Splits until each part is a product of ranges.
void split_same_length(char32_t first, char32_t last, std::vector<ByteSequence>& out) {
  const auto low = encode(first);
  const auto high = encode(last);
  for (std::size_t i = 1; i < low.size; ++i) {
    const char32_t below = (char32_t{1} << (6U * i)) - 1;
    if ((first & ~below) == (last & ~below)) continue;
    if ((first & below) != 0) {
      split_same_length(first, first | below, out);
      split_same_length((first | below) + 1, last, out);
      return;
    }
    if ((last & below) != below) {
      split_same_length(first, (last & ~below) - 1, out);
      split_same_length(last & ~below, last, out);
      return;
    }
  }
  ByteSequence sequence;
  for (std::size_t i = 0; i < low.size; ++i) sequence.push_back({low.bytes[i], high.bytes[i]});
  out.push_back(std::move(sequence));
}

std::string class_member(char32_t c) {
  const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == ' ' || c == '_' || c == '.' || c == '/' || c == ':' || c == '!' ||
                     c == '#' || c == '+';
  if (plain) return std::string(1, static_cast<char>(c));
  const auto value = static_cast<std::uint32_t>(c);
  if (c <= 0xFF) return std::format("\\x{:02X}", value);
  if (c <= 0xFFFF) return std::format("\\u{:04X}", value);
  return std::format("\\U{:08X}", value);
}

}  // namespace

CodePointSet::CodePointSet(std::vector<CodePointRange> ranges) {
  std::vector<CodePointRange> scalars;
  for (const auto& range : ranges) {
    const auto last = std::min(range.last, kLast);
    if (range.first <= std::min<char32_t>(last, 0xD7FF)) {
      scalars.push_back({range.first, std::min<char32_t>(last, 0xD7FF)});
    }
    if (last >= 0xE000) scalars.push_back({std::max<char32_t>(range.first, 0xE000), last});
  }
  std::erase_if(scalars, [](const CodePointRange& range) { return range.first > range.last; });
  std::ranges::sort(scalars, {}, &CodePointRange::first);
  for (const auto& range : scalars) {
    if (!ranges_.empty() && range.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

CodePointSet CodePointSet::all() {
  return CodePointSet({{0, kLast}});
}

CodePointSet CodePointSet::complement() const {
  std::vector<CodePointRange> gaps;
  char32_t next = 0;
  for (const auto& range : ranges_) {
    if (range.first > next) gaps.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLast) gaps.push_back({next, kLast});
  return CodePointSet(std::move(gaps));
}

CodePointSet CodePointSet::with(const CodePointSet& other) const {
  auto ranges = ranges_;
  ranges.insert(ranges.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePointSet(std::move(ranges));
}

CodePointSet CodePointSet::without(const CodePointSet& other) const {
  return complement().with(other).complement();
}

bool CodePointSet::contains(char32_t code_point) const {
  return std::ranges::any_of(ranges_, [code_point](const CodePointRange& range) {
    return range.first <= code_point && code_point <= range.last;
  });
}

std::vector<ByteSequence> utf8_sequences(const CodePointSet& set) {
  static constexpr std::array<CodePointRange, 4> kLengths = {
      {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xFFFF}, {0x10000, kLast}}};
  std::vector<ByteSequence> out;
  for (const auto& range : set.ranges()) {
    for (const auto& length : kLengths) {
      const auto first = std::max(range.first, length.first);
      const auto last = std::min(range.last, length.last);
      if (first <= last) split_same_length(first, last, out);
    }
  }
  return out;
}

char32_t read_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&text](std::size_t i) -> char32_t {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0U;
  };
  const auto lead = byte(at);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t value = size == 1 ? lead : lead & (0x7FU >> size);
  for (std::size_t i = 1; i < size; ++i) value = (value << 6U) | (byte(at + i) & 0x3FU);
  at += size;
  return value;
}

std::string gbnf_literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += std::format("\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string gbnf_class(const CodePointSet& set) {
  if (set.complement().empty()) return ".";
  std::string out = "[";
  for (const auto& range : set.ranges()) {
    out += class_member(range.first);
    if (range.last == range.first) continue;
    if (range.last > range.first + 1) out += '-';
    out += class_member(range.last);
  }
  return out + ']';
}

}  // namespace hf::grammar
