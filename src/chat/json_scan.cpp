#include "chat/json_scan.hpp"

#include <charconv>
#include <format>

#include "base/utf8.hpp"

namespace hf::chat {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Four hex digits at `at`; nothing if they are not there.
std::optional<char32_t> hex_unit(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return std::nullopt;
  std::uint32_t unit = 0;
  const auto* first = text.data() + at;
  const auto read = std::from_chars(first, first + 4, unit, 16);
  if (read.ptr != first + 4) return std::nullopt;
  return static_cast<char32_t>(unit);
}

// Reads the \u escape whose digits begin at `at`, with its second half if it is a surrogate pair;
// returns where it ends.
std::size_t append_unicode(std::string& out, std::string_view text, std::size_t at) {
  const auto high = hex_unit(text, at).value_or(0xFFFD);
  if (high >= 0xD800 && high < 0xDC00 && text.substr(at + 4, 2) == "\\u") {
    const auto low = hex_unit(text, at + 6);
    if (low && *low >= 0xDC00 && *low < 0xE000) {
      utf8::append(out, 0x10000 + ((high - 0xD800) << 10U) + (*low - 0xDC00));
      return at + 10;
    }
  }
  utf8::append(out, high);
  return at + 4;
}

char unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    default:
      return c;
  }
}

}  // namespace

JsonScanner::Step JsonScanner::open(bool object, State next) {
  if (objects_.size() >= kJsonDepthMax) return Step::broken;
  objects_.push_back(object);
  state_ = next;
  return Step::more;
}

JsonScanner::Step JsonScanner::close(bool object) {
  if (objects_.empty() || objects_.back() != object) return Step::broken;
  objects_.pop_back();
  return end_value();
}

JsonScanner::Step JsonScanner::end_value() {
  state_ = objects_.empty() ? State::finished : State::after_item;
  return objects_.empty() ? Step::done : Step::more;
}

JsonScanner::Step JsonScanner::begin_value(char c) {
  const auto to = [this](State next) {
    state_ = next;
    return Step::more;
  };
  const auto word = [&](std::string_view rest) {
    word_left_ = rest;
    return to(State::word);
  };
  key_string_ = false;
  switch (c) {
    case '{':
      return open(true, State::first_key);
    case '[':
      return open(false, State::first_item);
    case '"':
      return to(State::string);
    case 't':
      return word("rue");
    case 'f':
      return word("alse");
    case 'n':
      return word("ull");
    case '-':
      return to(State::minus);
    case '0':
      return to(State::zero);
    default:
      return is_digit(c) ? to(State::digits) : Step::broken;
  }
}

JsonScanner::Step JsonScanner::in_structure(char c) {
  if (is_json_space(c)) return Step::more;
  if (state_ == State::first_item && c == ']') return close(false);
  if (state_ == State::first_key && c == '}') return close(true);
  if (state_ == State::first_key || state_ == State::key) {
    if (c != '"') return Step::broken;
    key_string_ = true;
    state_ = State::string;
    return Step::more;
  }
  if (state_ == State::colon) {
    if (c != ':') return Step::broken;
    state_ = State::value;
    return Step::more;
  }
  if (state_ == State::after_item) {
    if (c == '}' || c == ']') return close(c == '}');
    if (c != ',') return Step::broken;
    state_ = objects_.back() ? State::key : State::value;
    return Step::more;
  }
  return begin_value(c);
}

JsonScanner::Step JsonScanner::in_text(char c) {
  if (state_ == State::unicode) {
    if (!is_hex(c)) return Step::broken;
    if (--unicode_left_ == 0) state_ = State::string;
    return Step::more;
  }
  if (state_ == State::escape) {
    if (c == 'u') {
      unicode_left_ = 4;
      state_ = State::unicode;
      return Step::more;
    }
    if (std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) return Step::broken;
    state_ = State::string;
    return Step::more;
  }
  if (c == '\\') {
    state_ = State::escape;
  } else if (c == '"') {
    if (!key_string_) return end_value();
    state_ = State::colon;
  }
  return Step::more;
}

JsonScanner::Step JsonScanner::in_word(char c) {
  if (word_left_.empty() || word_left_.front() != c) return Step::broken;
  word_left_.remove_prefix(1);
  return word_left_.empty() ? end_value() : Step::more;
}

JsonScanner::Step JsonScanner::in_number(char c) {
  const auto to = [this](State next) {
    state_ = next;
    return Step::more;
  };
  const bool digit = is_digit(c);
  const bool whole = state_ == State::zero || state_ == State::digits;
  if (state_ == State::minus && c == '0') return to(State::zero);
  if (state_ == State::minus) return digit ? to(State::digits) : Step::broken;
  if (state_ == State::point) return digit ? to(State::fraction) : Step::broken;
  if (state_ == State::exponent && (c == '+' || c == '-')) return to(State::exponent_sign);
  if (state_ == State::exponent || state_ == State::exponent_sign) {
    return digit ? to(State::exponent_digits) : Step::broken;
  }
  if (digit && state_ != State::zero) return Step::more;
  if (whole && c == '.') return to(State::point);
  if ((c == 'e' || c == 'E') && (whole || state_ == State::fraction)) return to(State::exponent);
  return end_value() == Step::done ? Step::before : push(c);
}

JsonScanner::Step JsonScanner::push(char c) {
  switch (state_) {
    case State::string:
    case State::escape:
    case State::unicode:
      return in_text(c);
    case State::word:
      return in_word(c);
    case State::minus:
    case State::zero:
    case State::digits:
    case State::point:
    case State::fraction:
    case State::exponent:
    case State::exponent_sign:
    case State::exponent_digits:
      return in_number(c);
    case State::finished:
      return Step::broken;
    case State::value:
    case State::first_item:
    case State::first_key:
    case State::key:
    case State::colon:
    case State::after_item:
      return in_structure(c);
  }
  return Step::broken;
}

bool json_depth_ok(std::string_view text) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\' && quoted) {
      ++at;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '{' || c == '[')) {
      if (++depth > kJsonDepthMax) return false;
    } else if (!quoted && (c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return true;
}

bool is_json_object(std::string_view text) {
  const auto first = text.find_first_not_of(" \n\r\t");
  if (first == std::string_view::npos || text[first] != '{') return false;
  JsonScanner scanner;
  for (std::size_t at = first; at < text.size(); ++at) {
    const auto step = scanner.push(text[at]);
    if (step == JsonScanner::Step::done) {
      return text.find_first_not_of(" \n\r\t", at + 1) == std::string_view::npos;
    }
    if (step != JsonScanner::Step::more) return false;
  }
  return false;
}

void append_json_safe(std::string& out, char c, bool in_string) {
  const auto code = static_cast<unsigned char>(c);
  if (!in_string || code >= 0x20) {
    out.push_back(c);
  } else if (c == '\n') {
    out += "\\n";
  } else if (c == '\t') {
    out += "\\t";
  } else {
    out += std::format("\\u{:04x}", code);
  }
}

std::optional<std::string> json_string_text(std::string_view quoted) {
  if (quoted.size() < 2 || quoted.front() != '"' || quoted.back() != '"') return std::nullopt;
  const auto text = quoted.substr(1, quoted.size() - 2);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '\\') {
      out.push_back(text[at++]);
    } else if (at + 1 >= text.size()) {
      return std::nullopt;
    } else if (text[at + 1] == 'u') {
      if (!hex_unit(text, at + 2)) return std::nullopt;
      at = append_unicode(out, text, at + 2);
    } else {
      out.push_back(unescaped(text[at + 1]));
      at += 2;
    }
  }
  return out;
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    append_json_safe(out, c, true);
  }
  out.push_back('"');
  return out;
}

}  // namespace hf::chat
