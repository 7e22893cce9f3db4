#include "api/json.hpp"

#include <charconv>
#include <cmath>
#include <unordered_set>

#include "base/utf8.hpp"

namespace hf::api {
namespace {

constexpr std::size_t kLinearKeys = 16;

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

JsonFault fault_at(std::string_view text, std::size_t at, JsonTrouble trouble) {
  JsonFault fault{.trouble = trouble};
  for (std::size_t i = 0; i < at && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++fault.line;
      fault.column = 1;
    } else {
      ++fault.column;
    }
  }
  return fault;
}

}  // namespace

// Recursive descent; the depth is bounded.
class JsonReader {
 public:
  JsonReader(JsonDocument& document, const JsonLimits& limits)
      : document_(document), text_(*document.source_), limits_(limits) {}

  bool read() {
    skip_space();
    if (!value(0)) return false;
    skip_space();
    return at_ == text_.size() || fail(JsonTrouble::trailing);
  }
  [[nodiscard]] JsonFault fault() const { return fault_at(text_, at_, trouble_); }

 private:
  using Node = JsonDocument::Node;

  bool fail(JsonTrouble trouble) {
    trouble_ = trouble;
    return false;
  }
  bool unexpected() {
    return fail(at_ < text_.size() ? JsonTrouble::unexpected : JsonTrouble::ended);
  }
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool value(std::size_t depth) {
    if (depth >= limits_.depth_max) return fail(JsonTrouble::too_deep);
    if (document_.nodes_.size() > limits_.values_max) return fail(JsonTrouble::too_many);
    const auto index = static_cast<std::uint32_t>(document_.nodes_.size());
    document_.nodes_.emplace_back().begin = static_cast<std::uint32_t>(at_);
    if (!content(index, depth)) return false;
    document_.nodes_[index].end = static_cast<std::uint32_t>(at_);
    return true;
  }

  bool content(std::uint32_t index, std::size_t depth) {
    auto& node = document_.nodes_[index];
    switch (peek()) {
      case '{':
        node.kind = JsonKind::object;
        return members(index, depth);
      case '[':
        node.kind = JsonKind::array;
        return items(index, depth);
      case '"':
        node.kind = JsonKind::string;
        return string(node.text);
      case 't':
        node.kind = JsonKind::boolean;
        node.truth = true;
        return word("true");
      case 'f':
        node.kind = JsonKind::boolean;
        return word("false");
      case 'n':
        return word("null");
      default:
        node.kind = JsonKind::number;
        return number();
    }
  }

  bool word(std::string_view expected) {
    for (const char c : expected) {
      if (peek() != c) return unexpected();
      ++at_;
    }
    return true;
  }

  bool digits() {
    if (!is_digit(peek())) return fail(JsonTrouble::bad_number);
    while (is_digit(peek())) ++at_;
    return true;
  }

  bool number() {
    if (peek() != '-' && !is_digit(peek())) return unexpected();
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
      if (is_digit(peek())) return fail(JsonTrouble::bad_number);
    } else if (!digits()) {
      return false;
    }
    if (peek() == '.') {
      ++at_;
      if (!digits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) return false;
    }
    return true;
  }

  void append_child(std::uint32_t parent, std::uint32_t& last, std::uint32_t child) {
    auto& node = document_.nodes_[parent];
    if (last == 0) {
      node.first = child;
    } else {
      document_.nodes_[last].next = child;
    }
    last = child;
    ++node.count;
  }

  bool items(std::uint32_t index, std::size_t depth) {
    ++at_;
    skip_space();
    if (peek() == ']') {
      ++at_;
      return true;
    }
    std::uint32_t last = 0;
    while (true) {
      const auto child = static_cast<std::uint32_t>(document_.nodes_.size());
      if (!value(depth + 1)) return false;
      append_child(index, last, child);
      skip_space();
      if (peek() == ']') break;
      if (peek() != ',') return unexpected();
      ++at_;
      skip_space();
    }
    ++at_;
    return true;
  }

  bool known(std::uint32_t index, std::string_view key,
             std::unordered_set<std::string_view>& keys) {
    const auto& node = document_.nodes_[index];
    if (node.count < kLinearKeys) {
      for (auto i = node.first; i != 0; i = document_.nodes_[i].next) {
        if (document_.nodes_[i].key == key) return true;
      }
      return false;
    }
    if (keys.empty()) {
      for (auto i = node.first; i != 0; i = document_.nodes_[i].next) {
        keys.insert(document_.nodes_[i].key);
      }
    }
    return !keys.insert(key).second;
  }

  bool members(std::uint32_t index, std::size_t depth) {
    ++at_;
    skip_space();
    if (peek() == '}') {
      ++at_;
      return true;
    }
    std::uint32_t last = 0;
    std::unordered_set<std::string_view> keys;
    while (true) {
      if (peek() != '"') return unexpected();
      const auto key_at = at_;
      std::string_view key;
      if (!string(key)) return false;
      if (known(index, key, keys)) {
        at_ = key_at;
        return fail(JsonTrouble::duplicate_key);
      }
      skip_space();
      if (peek() != ':') return unexpected();
      ++at_;
      skip_space();
      const auto child = static_cast<std::uint32_t>(document_.nodes_.size());
      if (!value(depth + 1)) return false;
      document_.nodes_[child].key = key;
      append_child(index, last, child);
      skip_space();
      if (peek() == '}') break;
      if (peek() != ',') return unexpected();
      ++at_;
      skip_space();
    }
    ++at_;
    return true;
  }

  bool string(std::string_view& out) {
    const auto start = ++at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
           static_cast<unsigned char>(text_[at_]) >= 0x20) {
      ++at_;
    }
    if (peek() == '"' && at_ < text_.size()) {
      out = text_.substr(start, at_ - start);
      ++at_;
      return true;
    }
    auto& decoded = document_.decoded_.emplace_back(text_.substr(start, at_ - start));
    while (at_ < text_.size() && text_[at_] != '"') {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) return fail(JsonTrouble::raw_control);
      if (text_[at_] == '\\') {
        if (!escape(decoded)) return false;
      } else {
        decoded.push_back(text_[at_++]);
      }
    }
    if (at_ >= text_.size()) return fail(JsonTrouble::ended);
    ++at_;
    out = decoded;
    return true;
  }

  bool escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    const auto c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (const auto found = kNames.find(c); found != std::string_view::npos && c != '\0') {
      out.push_back(kValues[found]);
      at_ += 2;
      return true;
    }
    if (c != 'u') return fail(JsonTrouble::bad_escape);
    const auto high = unit(at_);
    if (!high || (*high >= 0xDC00 && *high <= 0xDFFF)) return fail(JsonTrouble::bad_escape);
    char32_t code = *high;
    std::size_t length = 6;
    if (code >= 0xD800 && code <= 0xDBFF) {
      const auto low = unit(at_ + 6);
      if (!low || *low < 0xDC00 || *low > 0xDFFF) return fail(JsonTrouble::bad_escape);
      code = 0x10000 + ((code - 0xD800) << 10U) + (*low - 0xDC00);
      length = 12;
    }
    utf8::append(out, code);
    at_ += length;
    return true;
  }

  // The UTF-16 unit of the escape \uXXXX at `at`.
  [[nodiscard]] std::optional<char32_t> unit(std::size_t at) const {
    const auto part = at < text_.size() ? text_.substr(at, 6) : std::string_view();
    if (part.size() < 6 || part[0] != '\\' || part[1] != 'u') return std::nullopt;
    std::uint32_t code = 0;
    const auto [end, error] = std::from_chars(part.data() + 2, part.data() + 6, code, 16);
    if (error != std::errc() || end != part.data() + 6) return std::nullopt;
    return static_cast<char32_t>(code);
  }

  JsonDocument& document_;
  const std::string_view text_;
  const JsonLimits limits_;
  std::size_t at_ = 0;
  JsonTrouble trouble_ = JsonTrouble::unexpected;
};

std::expected<JsonDocument, JsonFault> JsonDocument::parse(std::string text,
                                                           const JsonLimits& limits) {
  if (const auto good = utf8::valid_prefix(text); good != text.size()) {
    return std::unexpected(fault_at(text, good, JsonTrouble::not_utf8));
  }
  JsonDocument document;
  document.source_ = std::make_unique<const std::string>(std::move(text));
  document.nodes_.reserve(64);
  document.nodes_.emplace_back();
  JsonReader reader(document, limits);
  if (!reader.read()) return std::unexpected(reader.fault());
  return document;
}

JsonKind Json::kind() const {
  return document_->nodes_[node_].kind;
}
bool Json::truth() const {
  return document_->nodes_[node_].truth;
}
std::string_view Json::text() const {
  return document_->nodes_[node_].text;
}
std::size_t Json::size() const {
  return document_->nodes_[node_].count;
}
std::string_view Json::key() const {
  return document_->nodes_[node_].key;
}

std::string_view Json::raw() const {
  const auto& node = document_->nodes_[node_];
  return std::string_view(*document_->source_).substr(node.begin, node.end - node.begin);
}

double Json::number() const {
  const auto text = raw();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc()) return value;
  // Out of range: too large, or too close to zero.
  const bool tiny =
      text.find("e-") != std::string_view::npos || text.find("E-") != std::string_view::npos;
  if (tiny) return 0;
  return text.front() == '-' ? -HUGE_VAL : HUGE_VAL;
}

std::optional<std::int64_t> Json::integer() const {
  const auto text = raw();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  const auto number_value = number();
  constexpr double kExactMax = 9007199254740992.0;
  if (std::abs(number_value) > kExactMax || std::trunc(number_value) != number_value)
    return std::nullopt;
  return static_cast<std::int64_t>(number_value);
}

Json Json::operator[](std::string_view name) const {
  if (!is(JsonKind::object)) return {};
  for (const auto member : *this) {
    if (member.key() == name) return member;
  }
  return {};
}

Json::Iterator Json::begin() const {
  return Iterator(document_ == nullptr ? Json() : Json(document_, document_->nodes_[node_].first));
}

Json::Iterator Json::end() const {
  return Iterator(Json(document_, 0));
}

Json::Iterator& Json::Iterator::operator++() {
  at_ = Json(at_.document_, at_.document_->nodes_[at_.node_].next);
  return *this;
}

}  // namespace hf::api
