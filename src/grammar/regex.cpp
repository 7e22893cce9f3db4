#include "grammar/regex.hpp"

#include <algorithm>
#include <cctype>
#include <format>
#include <optional>
#include <utility>

#include "base/utf8.hpp"

namespace hf::grammar {
namespace {

const CodePointSet& digits() {
  static const CodePointSet set({{'0', '9'}});
  return set;
}
const CodePointSet& word() {
  static const CodePointSet set({{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}});
  return set;
}
const CodePointSet& space() {
  static const CodePointSet set({{9, 13},
                                 {' ', ' '},
                                 {0xA0, 0xA0},
                                 {0x1680, 0x1680},
                                 {0x2000, 0x200A},
                                 {0x2028, 0x2029},
                                 {0x202F, 0x202F},
                                 {0x205F, 0x205F},
                                 {0x3000, 0x3000},
                                 {0xFEFF, 0xFEFF}});
  return set;
}
const CodePointSet& line_end() {
  static const CodePointSet set({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
  return set;
}

CodePointSet single(char32_t c) {
  return CodePointSet({{c, c}});
}

std::string json_escaped(char32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  if (c < 0x20) return std::format("\\u{:04x}", static_cast<std::uint32_t>(c));
  std::string out;
  utf8::append(out, c);
  return out;
}

class RegexParser {
 public:
  RegexParser(std::string_view text, RegexTarget target, std::string_view any_char,
              const Limits& limits)
      : text_(text),
        json_(target == RegexTarget::json_string),
        any_char_(any_char),
        limits_(limits) {}

  Result<std::string> run() {
    if (!utf8::valid(text_))
      return fail(Errc::invalid_argument, "The regular expression is not valid UTF-8.");
    auto out = HF_TRY(alternatives(0));
    if (!done()) return error(at_, "')' has no '(' before it");
    return out;
  }

 private:
  /// One thing a quantifier may follow.
  struct Atom {
    std::string gbnf = {};
    std::optional<char32_t> literal = {};
  };

  static std::unexpected<Error> error(std::size_t at, std::string_view what) {
    return fail(Errc::invalid_argument,
                std::format("The regular expression is wrong at offset {}: {}.", at, what));
  }
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool take(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  Result<std::string> alternatives(std::size_t depth) {
    if (depth > limits_.depth_max) return error(at_, "groups are nested too deeply");
    std::string out = "(" + HF_TRY(sequence(depth));
    while (take("|")) out += " | " + HF_TRY(sequence(depth));
    return out + ")";
  }

  Result<std::string> sequence(std::size_t depth) {
    const bool open_start = !(depth == 0 && take("^"));
    bool open_end = true;
    std::string out;
    std::string run;  // Literal characters not yet written out.
    const auto flush = [&] {
      if (!run.empty()) out += gbnf_literal(run) + ' ';
      run.clear();
    };
    if (json_ && depth == 0 && open_start) out += std::string(any_char_) + "* ";
    while (!done() && peek() != '|' && peek() != ')') {
      if (depth == 0 && peek() == '$' && (at_ + 1 == text_.size() || peek(1) == '|')) {
        ++at_;
        open_end = false;
        break;
      }
      auto atom = HF_TRY(this->atom(depth));
      const auto mark = HF_TRY(quantifier());
      if (atom.literal && mark.empty()) {
        if (json_) {
          run += json_escaped(*atom.literal);
        } else {
          utf8::append(run, *atom.literal);
        }
        continue;
      }
      flush();
      if (atom.literal) atom.gbnf = class_of(single(*atom.literal));
      out += atom.gbnf + mark + ' ';
    }
    flush();
    if (json_ && depth == 0 && open_end) out += std::string(any_char_) + "*";
    return out.empty() ? "\"\"" : out;
  }

  [[nodiscard]] std::string class_of(const CodePointSet& set) const {
    return json_ ? json_class(set) : gbnf_class(set);
  }

  Result<Atom> atom(std::size_t depth) {
    const auto start = at_;
    switch (peek()) {
      case '(':
        return group(depth);
      case '[': {
        const auto set = HF_TRY(char_class());
        return Atom{class_of(set)};
      }
      case '.':
        ++at_;
        return Atom{class_of(line_end().complement())};
      case '^':
        return error(at_, "'^' is only supported at the very beginning");
      case '$':
        return error(at_, "'$' is only supported at the very end");
      case '*':
      case '+':
      case '?':
        return error(at_, "there is nothing to repeat");
      case '\\': {
        auto [set, character] = HF_TRY(escape());
        if (character) return Atom{{}, character};
        return Atom{class_of(set)};
      }
      default:
        break;
    }
    if (std::size_t length = 0; peek() == '{' && braces_here(length)) {
      return error(start, "there is nothing to repeat");
    }
    return Atom{{}, read_code_point(text_, at_)};
  }

  Result<Atom> group(std::size_t depth) {
    const auto start = at_++;
    if (peek() == '?') {
      if (take("?=") || take("?!")) return error(start, "lookahead is not supported");
      if (take("?<=") || take("?<!")) return error(start, "lookbehind is not supported");
      if (take("?>")) return error(start, "atomic groups are not supported");
      if (take("?P<") || take("?<")) {
        while (std::isalnum(static_cast<unsigned char>(peek())) != 0 || peek() == '_') ++at_;
        if (!take(">")) return error(start, "the group's name is not closed with '>'");
      } else if (!take("?:")) {
        return error(start, "inline flags and other (?...) groups are not supported");
      }
    }
    auto inside = HF_TRY(alternatives(depth + 1));
    if (!take(")")) return error(start, "the group is not closed with ')'");
    return Atom{std::move(inside)};
  }

  /// True for {m}, {m,} and {m,n}; a brace that begins none of them is an ordinary character.
  [[nodiscard]] bool braces_here(std::size_t& length) const {
    std::size_t i = 1;
    const auto number = [&] {
      const auto from = i;
      while (std::isdigit(static_cast<unsigned char>(peek(i))) != 0) ++i;
      return i > from;
    };
    if (peek() != '{' || !number()) return false;
    if (peek(i) == ',') {
      ++i;
      (void)number();
    }
    length = i + 1;
    return peek(i) == '}';
  }

  /// The quantifier here as GBNF; empty: there is none.
  Result<std::string> quantifier() {
    const auto start = at_;
    std::size_t length = 0;
    if (peek() == '*' || peek() == '+' || peek() == '?') {
      length = 1;
    } else if (!braces_here(length)) {
      return std::string();
    }
    auto mark = std::string(text_.substr(at_, length));
    at_ += length;
    if (length > 1) HF_TRY_VOID(check_bounds(mark, start));
    (void)take("?");
    if (std::size_t next = 0;
        peek() == '*' || peek() == '+' || peek() == '?' || braces_here(next)) {
      return error(at_, "two quantifiers follow each other; put the first in a group");
    }
    return mark;
  }

  Result<void> check_bounds(std::string_view mark, std::size_t start) const {
    const auto value = [this](std::string_view number) {
      std::size_t sum = 0;
      for (const char c : number) {
        if (std::isdigit(static_cast<unsigned char>(c)) == 0) break;
        sum = std::min(sum * 10 + static_cast<std::size_t>(c - '0'), limits_.repeat_max + 1);
      }
      return sum;
    };
    const auto comma = mark.find(',');
    const auto low = value(mark.substr(1));
    auto high = low;
    if (comma != std::string_view::npos && mark[comma + 1] != '}')
      high = value(mark.substr(comma + 1));
    if (low > limits_.repeat_max || high > limits_.repeat_max) {
      return error(start, std::format("a repetition may not be above {}", limits_.repeat_max));
    }
    if (high < low) return error(start, "the upper bound is below the lower bound");
    return {};
  }

  struct Escape {
    CodePointSet set = {};
    std::optional<char32_t> character = {};
  };

  Result<Escape> escape() {
    const auto start = at_++;
    if (done()) return error(start, "the escape is cut off");
    const char c = text_[at_];
    const auto is = [&](CodePointSet set) {
      ++at_;
      return Escape{std::move(set), {}};
    };
    const auto one = [&](char32_t value) {
      ++at_;
      return Escape{{}, value};
    };
    switch (c) {
      case 'd':
        return is(digits());
      case 'D':
        return is(digits().complement());
      case 'w':
        return is(word());
      case 'W':
        return is(word().complement());
      case 's':
        return is(space());
      case 'S':
        return is(space().complement());
      case 't':
        return one('\t');
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        return one('\0');
      case 'b':
      case 'B':
        return error(start, "word boundaries are not supported");
      case 'k':
        return error(start, "backreferences are not supported");
      case 'p':
      case 'P':
        return error(start, "Unicode properties are not supported; list the ranges");
      case 'x':
      case 'u':
        return unicode_escape(start);
      default:
        break;
    }
    if (c >= '1' && c <= '9') return error(start, "backreferences are not supported");
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      return error(start, "the escape is unknown");
    return Escape{{}, read_code_point(text_, at_)};
  }

  Result<char32_t> hex(std::size_t least, std::size_t most, std::size_t start) {
    char32_t value = 0;
    std::size_t count = 0;
    for (; count < most && std::isxdigit(static_cast<unsigned char>(peek())) != 0; ++count, ++at_) {
      const auto digit = peek() <= '9' ? peek() - '0' : (peek() | 0x20) - 'a' + 10;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    if (count < least) return error(start, "hexadecimal digits are missing");
    return value;
  }

  Result<Escape> unicode_escape(std::size_t start) {
    const bool two = text_[at_++] == 'x';
    char32_t value = 0;
    if (!two && take("{")) {
      value = HF_TRY(hex(1, 6, start));
      if (!take("}")) return error(start, "the escape is not closed with '}'");
    } else {
      value = HF_TRY(hex(two ? 2 : 4, two ? 2 : 4, start));
    }
    if (value >= 0xD800 && value < 0xDC00 && take("\\u")) {
      const auto low = HF_TRY(hex(4, 4, start));
      if (low < 0xDC00 || low > 0xDFFF)
        return error(start, "half a surrogate pair is no character");
      value = 0x10000 + ((value - 0xD800) << 10U) + (low - 0xDC00);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      return error(start, "the escape is no Unicode character");
    }
    return Escape{{}, value};
  }

  Result<Escape> class_item() {
    if (peek() != '\\') return Escape{{}, read_code_point(text_, at_)};
    if (peek(1) == 'b') {
      at_ += 2;
      return Escape{{}, U'\b'};
    }
    return escape();
  }

  Result<CodePointSet> char_class() {
    const auto start = at_++;
    const bool negated = take("^");
    std::vector<CodePointRange> ranges;
    while (peek() != ']') {
      if (done()) return error(start, "the class is not closed with ']'");
      const auto item = at_;
      auto first = HF_TRY(class_item());
      if (!first.character) {
        const auto& set = first.set.ranges();
        ranges.insert(ranges.end(), set.begin(), set.end());
        continue;
      }
      auto last = *first.character;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
        ++at_;
        const auto end = HF_TRY(class_item());
        if (!end.character) return error(item, "a range may not end with a class");
        last = *end.character;
      }
      if (last < *first.character) return error(item, "the range runs backwards");
      ranges.push_back({*first.character, last});
    }
    ++at_;
    CodePointSet set(std::move(ranges));
    if (negated) set = set.complement();
    if (set.empty()) return error(start, "the class allows no character");
    return set;
  }

  std::string_view text_;
  bool json_;
  std::string_view any_char_;
  const Limits& limits_;
  std::size_t at_ = 0;
};

}  // namespace

std::string json_class(const CodePointSet& set) {
  static const CodePointSet special({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
  const auto plain = set.without(special);
  std::string out = "(";
  if (!plain.empty()) out += gbnf_class(plain);
  for (char32_t c = 0; c <= '\\'; ++c) {
    if (!special.contains(c) || !set.contains(c)) continue;
    const auto text = json_escaped(c);
    // The rare control characters are left out where there is a choice: they only cost states.
    if (text.size() > 2 && !plain.empty()) continue;
    out += (out.size() == 1 ? "" : " | ") + gbnf_literal(text);
  }
  return out + ")";
}

Result<std::string> regex_to_gbnf(std::string_view pattern, RegexTarget target,
                                  std::string_view any_char, const Limits& limits) {
  return RegexParser(pattern, target, any_char, limits).run();
}

}  // namespace hf::grammar
