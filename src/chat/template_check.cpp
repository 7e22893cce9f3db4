#include "chat/template_check.hpp"

#include <algorithm>
#include <format>

namespace hf::chat {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\v' || c == '\f';
}

std::unexpected<Error> too_much(std::string_view what, std::size_t limit) {
  return fail(Errc::invalid_argument,
              std::format("The model's chat template has {} (limit {}); give the model another "
                          "template.",
                          what, limit));
}

class Checker {
 public:
  Checker(std::string_view source, const TemplateLimits& limits)
      : source_(source), limits_(limits) {}

  Result<std::string> run() {
    while (at_ < source_.size()) {
      const auto two = source_.substr(at_, 2);
      if (two == "{#") {
        comment();
      } else if (two == "{{" || two == "{%") {
        HF_TRY_VOID(tag(two == "{%"));
      } else {
        out_.push_back(source_[at_++]);
      }
    }
    HF_TRY_VOID(check_runs(out_));
    return std::move(out_);
  }

 private:
  [[nodiscard]] Result<void> check_runs(std::string_view text) const {
    std::size_t run = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool same = i > 0 && ((is_word(text[i]) && is_word(text[i - 1])) ||
                                  (is_space(text[i]) && is_space(text[i - 1])));
      run = same ? run + 1 : 1;
      if (run > limits_.run_bytes_max) {
        return too_much("a very long word or stretch of white space", limits_.run_bytes_max);
      }
    }
    return {};
  }

  void comment() {
    const auto close = source_.find("#}", at_ + 2);
    if (close == std::string_view::npos) {
      out_ += source_.substr(at_);  // The parser says what is wrong.
      at_ = source_.size();
      return;
    }
    const auto body = source_.substr(at_ + 2, close - at_ - 2);
    const auto is_sign = [](char c) { return c == '-' || c == '~'; };
    out_ += "{#";
    if (!body.empty() && is_sign(body.front())) out_.push_back(body.front());
    out_.push_back(' ');
    if (body.size() > 1 && is_sign(body.back())) out_.push_back(body.back());
    out_ += "#}";
    at_ = close + 2;
  }

  // Copies one tag. A tag that is not closed runs to the end, where the parser refuses it.
  Result<void> tag(bool block) {
    const auto close = std::string_view(block ? "%}" : "}}");
    const auto first = at_;
    std::size_t nesting = 0;
    std::size_t words = 0;
    at_ += 2;
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (nesting == 0 && source_.substr(at_, 2) == close) {
        at_ += 2;
        break;
      }
      if (c == '\'' || c == '"') {
        skip_string(c);
      } else if (is_word(c)) {
        while (at_ < source_.size() && is_word(source_[at_])) ++at_;
      } else {
        ++at_;
      }
      if (c == '(' || c == '[' || c == '{') ++nesting;
      if ((c == ')' || c == ']' || c == '}') && nesting > 0) --nesting;
      if (nesting > limits_.nesting_max) {
        return too_much("too deeply nested brackets", limits_.nesting_max);
      }
      if (!is_space(c) && ++words > limits_.tag_words_max) {
        return too_much("a tag with too many parts", limits_.tag_words_max);
      }
    }
    const auto text = source_.substr(first, at_ - first);
    out_ += text;
    return block ? count_block(text) : Result<void>{};
  }

  void skip_string(char quote) {
    for (++at_; at_ < source_.size() && source_[at_] != quote; ++at_) {
      if (source_[at_] == '\\') ++at_;
    }
    if (at_ < source_.size()) ++at_;
    at_ = std::min(at_, source_.size());
  }

  Result<void> count_block(std::string_view text) {
    std::size_t first = 2;
    while (first < text.size() && !is_word(text[first])) ++first;
    auto last = first;
    while (last < text.size() && is_word(text[last])) ++last;
    const auto word = text.substr(first, last - first);
    if (word.starts_with("end")) {
      if (blocks_ > 0) --blocks_;
      return {};
    }
    const bool opens = word == "if" || word == "for" || word == "macro" || word == "filter" ||
                       word == "call" || word == "generation" || word == "block" ||
                       (word == "set" && text.find('=') == std::string_view::npos);
    if (opens && ++blocks_ > limits_.nesting_max) {
      return too_much("too deeply nested blocks", limits_.nesting_max);
    }
    return {};
  }

  std::string_view source_;
  TemplateLimits limits_;
  std::string out_ = {};
  std::size_t at_ = 0;
  std::size_t blocks_ = 0;
};

}  // namespace

Result<std::string> checked_template(std::string_view source, const TemplateLimits& limits) {
  if (source.size() > limits.source_bytes_max) {
    return fail(Errc::invalid_argument,
                std::format("The model's chat template has {} bytes (limit {}); give the model "
                            "another template.",
                            source.size(), limits.source_bytes_max));
  }
  return Checker(source, limits).run();
}

}  // namespace hf::chat
