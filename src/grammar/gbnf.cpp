#include "grammar/gbnf.hpp"

#include <algorithm>
#include <cctype>
#include <format>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/utf8.hpp"

namespace hf::grammar {
namespace {

constexpr std::uint32_t kNoBody = UINT32_MAX;

bool is_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
}

class Parser {
 public:
  Parser(std::string_view text, const Limits& limits) : text_(text), limits_(limits) {}

  Result<Syntax> run() {
    if (!utf8::valid(text_)) {
      return fail(Errc::invalid_argument, "The grammar is not valid UTF-8; send it as UTF-8 text.");
    }
    skip_blank();
    while (at_ < text_.size()) HF_TRY_VOID(rule());
    for (std::size_t i = 0; i < out_.rules.size(); ++i) {
      if (out_.rules[i].body != kNoBody) continue;
      return error(first_use_[i],
                   std::format("rule '{}' is used but not defined", out_.rules[i].name));
    }
    const auto root = names_.find("root");
    if (root == names_.end()) {
      return fail(Errc::invalid_argument,
                  "The grammar has no rule named 'root'; define where it starts.");
    }
    out_.root = root->second;
    return std::move(out_);
  }

 private:
  std::unexpected<Error> error(std::size_t at, const std::string& what) const {
    const auto before = text_.substr(0, at);
    const auto line = 1 + std::ranges::count(before, '\n');
    const auto start = before.rfind('\n');
    const auto column = start == std::string_view::npos ? at + 1 : at - start;
    return fail(Errc::invalid_argument,
                std::format("The grammar is wrong at line {}, column {}: {}.", line, column, what));
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }

  void skip_comment() {
    while (!done() && peek() != '\n' && peek() != '\r') ++at_;
  }
  void skip_blank() {
    for (; !done(); ++at_) {
      if (peek() == '#') skip_comment();
      if (done()) return;
      if (peek() != ' ' && peek() != '\t' && peek() != '\n' && peek() != '\r') return;
    }
  }
  /// Between the elements of a sequence. A line end closes a rule unless a group is open or the
  /// next line goes on with '|'.
  void skip_inside(std::size_t depth) {
    if (depth > 0) return skip_blank();
    while (peek() == ' ' || peek() == '\t') ++at_;
    if (peek() == '#') skip_comment();
    const auto stay = at_;
    skip_blank();
    if (peek() != '|') at_ = stay;
  }

  Result<std::string_view> name() {
    const auto start = at_;
    while (!done() && is_name_char(peek())) ++at_;
    if (at_ == start) return error(at_, "a rule name was expected (letters, digits, '-')");
    return text_.substr(start, at_ - start);
  }

  Result<std::uint32_t> rule_index(std::string_view rule_name, std::size_t at) {
    const auto [entry, fresh] =
        names_.try_emplace(std::string(rule_name), static_cast<std::uint32_t>(out_.rules.size()));
    if (fresh) {
      if (out_.rules.size() >= limits_.rules_max) {
        return error(
            at, std::format("more than {} rules; make the grammar smaller", limits_.rules_max));
      }
      out_.rules.push_back({std::string(rule_name), kNoBody});
      first_use_.push_back(at);
    }
    return entry->second;
  }

  Result<std::uint32_t> add(Node node, std::size_t at) {
    if (out_.nodes.size() >= limits_.elements_max) {
      return error(
          at, std::format("more than {} elements; make the grammar smaller", limits_.elements_max));
    }
    out_.nodes.push_back(std::move(node));
    return static_cast<std::uint32_t>(out_.nodes.size() - 1);
  }

  Result<void> rule() {
    const auto start = at_;
    const auto rule_name = HF_TRY(name());
    const auto index = HF_TRY(rule_index(rule_name, start));
    while (peek() == ' ' || peek() == '\t') ++at_;
    if (text_.substr(at_, 3) != "::=") return error(at_, "'::=' was expected after the rule name");
    at_ += 3;
    skip_blank();
    if (out_.rules[index].body != kNoBody) {
      return error(start, std::format("rule '{}' is defined twice", rule_name));
    }
    const auto body = HF_TRY(alternatives(0));
    out_.rules[index].body = body;
    if (!done() && peek() != '\n' && peek() != '\r') {
      return error(at_, "a line end was expected after the rule");
    }
    skip_blank();
    return {};
  }

  Result<std::uint32_t> alternatives(std::size_t depth) {
    const auto start = at_;
    Node node{.kind = NodeKind::alternation};
    node.children.push_back(HF_TRY(sequence(depth)));
    while (peek() == '|') {
      ++at_;
      skip_blank();
      node.children.push_back(HF_TRY(sequence(depth)));
    }
    if (node.children.size() == 1) return node.children.front();
    return add(std::move(node), start);
  }

  Result<std::uint32_t> sequence(std::size_t depth) {
    const auto start = at_;
    Node node{.kind = NodeKind::sequence};
    while (true) {
      const auto element = HF_TRY(primary(depth));
      if (!element) break;
      node.children.push_back(HF_TRY(repeats(*element, depth)));
    }
    if (node.children.size() == 1) return node.children.front();
    return add(std::move(node), start);
  }

  /// Nothing: the sequence ends here.
  Result<std::optional<std::uint32_t>> primary(std::size_t depth) {
    const auto start = at_;
    if (peek() == '"') return literal();
    if (peek() == '[') return char_class();
    if (peek() == '.') {
      ++at_;
      return add_class(CodePointSet::all(), start);
    }
    if (peek() == '(') {
      if (depth >= limits_.depth_max) {
        return error(at_, std::format("groups are nested deeper than {}", limits_.depth_max));
      }
      ++at_;
      skip_blank();
      const auto group = HF_TRY(alternatives(depth + 1));
      if (peek() != ')') return error(at_, "')' was expected");
      ++at_;
      return group;
    }
    if (!is_name_char(peek())) return std::nullopt;
    const auto rule_name = HF_TRY(name());
    const auto index = HF_TRY(rule_index(rule_name, start));
    return HF_TRY(add({.kind = NodeKind::reference, .index = index}, start));
  }

  Result<std::uint32_t> repeats(std::uint32_t element, std::size_t depth) {
    skip_inside(depth);
    for (std::size_t count = 0;; ++count) {
      const auto start = at_;
      Node node{.kind = NodeKind::repeat, .children = {element}, .min = 0, .max = kUnbounded};
      if (peek() == '*') {
        ++at_;
      } else if (peek() == '+') {
        ++at_;
        node.min = 1;
      } else if (peek() == '?') {
        ++at_;
        node.max = 1;
      } else if (peek() == '{') {
        HF_TRY_VOID(braces(node));
      } else {
        return element;
      }
      if (count >= limits_.depth_max) return error(start, "too many repetition marks in a row");
      element = HF_TRY(add(std::move(node), start));
      skip_inside(depth);
    }
  }

  Result<std::uint32_t> number() {
    const auto start = at_;
    std::uint64_t value = 0;
    while (std::isdigit(static_cast<unsigned char>(peek())) != 0) {
      value =
          std::min<std::uint64_t>(value * 10 + static_cast<unsigned char>(peek() - '0'), 1U << 30U);
      ++at_;
    }
    if (at_ == start) return error(at_, "a number was expected in the repetition");
    if (value > limits_.repeat_max) {
      return error(start, std::format("a repetition may not be above {}", limits_.repeat_max));
    }
    return static_cast<std::uint32_t>(value);
  }

  Result<void> braces(Node& node) {
    const auto start = at_++;
    skip_blank();
    node.min = peek() == ',' ? 0 : HF_TRY(number());
    node.max = node.min;
    skip_blank();
    if (peek() == ',') {
      ++at_;
      skip_blank();
      node.max = peek() == '}' ? kUnbounded : HF_TRY(number());
      skip_blank();
    }
    if (peek() != '}') return error(at_, "'}' was expected");
    ++at_;
    if (node.max < node.min)
      return error(start, "the repetition's upper bound is below its lower bound");
    return {};
  }

  Result<std::uint32_t> hex(std::size_t digits) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      if (std::isxdigit(static_cast<unsigned char>(c)) == 0) {
        return error(at_, std::format("{} hexadecimal digits were expected", digits));
      }
      const auto digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    return value;
  }

  Result<char32_t> character() {
    const auto start = at_;
    if (peek() != '\\') return read_code_point(text_, at_);
    ++at_;
    if (done()) return error(start, "an escape is cut off");
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case 'x':
      case 'u':
      case 'U': {
        const auto value = HF_TRY(hex(c == 'x' ? 2 : c == 'u' ? 4 : 8));
        if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
          return error(start, "the escape is no Unicode character");
        }
        return static_cast<char32_t>(value);
      }
      default:
        break;
    }
    if (std::ispunct(static_cast<unsigned char>(c)) == 0)
      return error(start, "the escape is unknown");
    return static_cast<char32_t>(c);
  }

  Result<std::uint32_t> literal() {
    const auto start = at_++;
    Node node{.kind = NodeKind::literal};
    while (peek() != '"') {
      if (done()) return error(start, "the literal is not closed with '\"'");
      utf8::append(node.text, HF_TRY(character()));
    }
    ++at_;
    return add(std::move(node), start);
  }

  Result<std::uint32_t> add_class(CodePointSet set, std::size_t start) {
    out_.classes.push_back(std::move(set));
    const auto index = static_cast<std::uint32_t>(out_.classes.size() - 1);
    return add({.kind = NodeKind::char_class, .index = index}, start);
  }

  Result<std::uint32_t> char_class() {
    const auto start = at_++;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<CodePointRange> ranges;
    while (peek() != ']') {
      if (done()) return error(start, "the class is not closed with ']'");
      const auto item = at_;
      const auto first = HF_TRY(character());
      auto last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        last = HF_TRY(character());
      }
      if (last < first) return error(item, "the range runs backwards");
      ranges.push_back({first, last});
    }
    ++at_;
    CodePointSet set(std::move(ranges));
    if (negated) set = set.complement();
    if (set.empty()) return error(start, "the class allows no character");
    return add_class(std::move(set), start);
  }

  std::string_view text_;
  const Limits& limits_;
  std::size_t at_ = 0;
  Syntax out_;
  std::unordered_map<std::string, std::uint32_t> names_;
  std::vector<std::size_t> first_use_;  ///< Per rule: where its name appeared first.
};

}  // namespace

Result<Syntax> parse_gbnf(std::string_view text, const Limits& limits) {
  return Parser(text, limits).run();
}

}  // namespace hf::grammar
