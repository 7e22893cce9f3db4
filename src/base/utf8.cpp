#include "base/utf8.hpp"

#include <array>
#include <cstdint>

namespace hf::utf8 {
namespace {

struct Lead {
  std::size_t length = 0;         // 0: not a lead byte.
  unsigned char second_min = 0x80;
  unsigned char second_max = 0xBF;
};

// Table 3-7 of the Unicode standard: the second byte's range depends on the first.
Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1};
  if (byte >= 0xC2 && byte <= 0xDF) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

// Bytes at the front of `text` that agree with one sequence; `complete` if all of it is there.
struct Match {
  std::size_t bytes = 0;
  bool complete = false;
};

Match match(std::string_view text) {
  const auto lead = lead_of(static_cast<unsigned char>(text[0]));
  if (lead.length == 0) return {};
  std::size_t taken = 1;
  while (taken < lead.length && taken < text.size()) {
    const auto byte = static_cast<unsigned char>(text[taken]);
    const bool second = taken == 1;
    if (byte < (second ? lead.second_min : 0x80) || byte > (second ? lead.second_max : 0xBF)) {
      return {taken, false};
    }
    ++taken;
  }
  return {taken, taken == lead.length};
}

}  // namespace

std::size_t valid_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto found = match(text.substr(at));
    if (!found.complete) break;
    at += found.bytes;
  }
  return at;
}

bool valid(std::string_view text) { return valid_prefix(text) == text.size(); }

bool unfinished(std::string_view tail) {
  if (tail.empty()) return false;
  const auto found = match(tail);
  return !found.complete && found.bytes == tail.size();
}

std::string repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto good = valid_prefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) break;
    out.append("\xEF\xBF\xBD");
    const auto found = match(text);
    text.remove_prefix(found.bytes == 0 ? 1 : found.bytes);
  }
  return out;
}

void append(std::string& out, char32_t code_point) {
  auto value = static_cast<std::uint32_t>(code_point);
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) value = 0xFFFD;
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | (value >> 6));
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | (value >> 12));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | (value >> 18));
    put(0x80 | ((value >> 12) & 0x3F));
    put(0x80 | ((value >> 6) & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

}  // namespace hf::utf8
