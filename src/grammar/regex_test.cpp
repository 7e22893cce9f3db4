#include <array>
#include <random>
#include <regex>

#include <gtest/gtest.h>

#include "grammar/test_vocabulary.hpp"

namespace hf::grammar {
namespace {

bool regex_matches(std::string_view pattern, std::string_view text) {
  const auto compiled = compile_text(wire::GrammarKind::regex, pattern);
  EXPECT_TRUE(compiled) << pattern << ": " << error_of(compiled);
  return compiled && matches(*compiled, text);
}

std::string regex_error(std::string_view pattern) {
  return error_of(compile_text(wire::GrammarKind::regex, pattern));
}

TEST(Regex, matches_from_end_to_end) {
  EXPECT_TRUE(regex_matches("ab+c?", "abb"));
  EXPECT_FALSE(regex_matches("ab+c?", "xabb"));
  EXPECT_TRUE(regex_matches("^a$|^b$", "b"));
  EXPECT_TRUE(regex_matches("", ""));
  EXPECT_FALSE(regex_matches("a|", "b"));
  EXPECT_TRUE(regex_matches("a|", ""));
}

TEST(Regex, knows_classes_and_escapes) {
  EXPECT_TRUE(regex_matches(R"(\d\D\w\W\s\S)", "1a_- x"));
  EXPECT_TRUE(regex_matches(R"([\d\-a-c\]^]+)", "3-b]^"));
  EXPECT_TRUE(regex_matches(R"([^\w]+)", "-é-"));
  EXPECT_TRUE(
      regex_matches(R"(\x41\u00e9\u{1F600}\uD83D\uDE00\.\/\$)", "A\u00e9\U0001F600\U0001F600./$"));
  EXPECT_TRUE(regex_matches("..", "é中"));
  EXPECT_FALSE(regex_matches(".", "\n"));
  EXPECT_TRUE(regex_matches("a{,2}", "a{,2}"));  // No quantifier, as in ECMAScript.
}

TEST(Regex, knows_groups_and_quantifiers) {
  EXPECT_TRUE(regex_matches("(?:ab|c){2,3}?(?<name>x)*", "abcabxx"));
  EXPECT_FALSE(regex_matches("(ab){2}", "ab"));
  EXPECT_TRUE(regex_matches("(a*)*b", "aaab"));
  EXPECT_TRUE(regex_matches("a{2,}", "aaaa"));
}

TEST(Regex, refuses_by_name_and_offset) {
  EXPECT_EQ(regex_error("ab(?=c)"),
            "The regular expression is wrong at offset 2: lookahead is not supported.");
  EXPECT_NE(regex_error("(?<!c)").find("lookbehind"), std::string::npos);
  EXPECT_NE(regex_error(R"((a)\1)").find("offset 3: backreferences"), std::string::npos);
  EXPECT_NE(regex_error(R"(\bword)").find("word boundaries"), std::string::npos);
  EXPECT_NE(regex_error(R"(\p{L})").find("Unicode properties"), std::string::npos);
  EXPECT_NE(regex_error("(?i)a").find("inline flags"), std::string::npos);
  EXPECT_NE(regex_error("a(^b)").find("'^'"), std::string::npos);
  EXPECT_NE(regex_error("a$b").find("'$'"), std::string::npos);
  for (const auto* bad :
       {"(", ")", "[", "[z-a]", "*", "a**", "a{3,2}", "\\", "\\u12", "a{99999}", "[]", "{2}"}) {
    EXPECT_NE(regex_error(bad), "") << bad;
  }
  EXPECT_NE(regex_error(std::string(100'000, '(')).find("too deeply"), std::string::npos);
}

std::string random_pattern(std::mt19937& random, int depth) {
  const auto below = [&random](unsigned n) { return random() % n; };
  std::string out;
  for (auto parts = 1 + below(3); parts > 0; --parts) {
    switch (below(depth > 0 ? 5 : 3)) {
      case 0:
        out += static_cast<char>('a' + below(3));
        break;
      case 1:
        out += "[ab]";
        break;
      case 2:
        out += "[^b]";
        break;
      case 3:
        out += "(" + random_pattern(random, depth - 1) + ")";
        break;
      default:
        out += "(?:" + random_pattern(random, depth - 1) + "|" + random_pattern(random, depth - 1) +
               ")";
    }
    // Loops only around single characters: nested ones make the standard library's matcher hang.
    static constexpr std::array kMarks = {"", "", "?", "{2}", "{1,2}", "*", "+", "*?"};
    out += kMarks[below(out.back() == ')' ? 5 : kMarks.size())];
  }
  return out;
}

TEST(Regex, agrees_with_the_standard_library_on_random_patterns) {
  std::mt19937 random(7);
  std::size_t hits = 0;
  for (int round = 0; round < 200; ++round) {
    const auto pattern = random_pattern(random, 2);
    const std::regex model(pattern);
    const auto compiled = compile_text(wire::GrammarKind::regex, pattern);
    ASSERT_TRUE(compiled) << pattern << error_of(compiled);
    for (int i = 0; i < 30; ++i) {
      std::string text;
      for (auto length = random() % 7; length > 0; --length)
        text += static_cast<char>('a' + random() % 3);
      const bool expected = std::regex_match(text, model);
      hits += expected ? 1U : 0U;
      ASSERT_EQ(matches(*compiled, text), expected) << pattern << " on " << text;
    }
  }
  EXPECT_GT(hits, 100U);
}

}  // namespace
}  // namespace hf::grammar
