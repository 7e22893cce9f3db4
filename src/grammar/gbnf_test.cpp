#include <format>

#include <gtest/gtest.h>

#include "grammar/test_vocabulary.hpp"

namespace hf::grammar {
namespace {

std::shared_ptr<const Grammar> gbnf(std::string_view text) {
  auto compiled = compile_text(wire::GrammarKind::gbnf, text);
  EXPECT_TRUE(compiled) << error_of(compiled);
  return compiled.value_or(nullptr);
}

std::string gbnf_error(std::string_view text) {
  return error_of(compile_text(wire::GrammarKind::gbnf, text));
}

TEST(Gbnf, reads_literals_with_escapes) {
  const auto grammar = gbnf(R"(root ::= "a\n\t\\\"\x41\u00e9\U0001F600")");
  EXPECT_TRUE(matches(grammar, "a\n\t\\\"A\u00e9\U0001F600"));
  EXPECT_FALSE(matches(grammar, "a\n\t\\\"A\u00e9"));
}

TEST(Gbnf, reads_classes_over_code_points) {
  const auto letters = gbnf(R"(root ::= [a-cα-ω\]\-]+)");
  EXPECT_TRUE(matches(letters, "abcλω]-"));
  EXPECT_FALSE(matches(letters, "d"));
  EXPECT_FALSE(matches(letters, "Ω"));
  const auto others = gbnf(R"(root ::= [^a-c\n]+)");
  EXPECT_TRUE(matches(others, "d\u00e9\u4e2d\U0001F600"));
  EXPECT_FALSE(matches(others, "b"));
  EXPECT_FALSE(matches(others, "\xFF"));
  EXPECT_FALSE(matches(others, "\xED\xA0\x80"));  // A surrogate is no character.
  EXPECT_TRUE(matches(gbnf("root ::= ."), "\u4e2d"));
}

TEST(Gbnf, reads_repetitions) {
  const auto grammar = gbnf(R"(root ::= "a"* "b"+ "c"? "d"{2} "e"{1,} "f"{1,3} "g"{,2})");
  EXPECT_TRUE(matches(grammar, "bddef"));
  EXPECT_TRUE(matches(grammar, "aaabbcddeeeefffgg"));
  EXPECT_FALSE(matches(grammar, "bdef"));
  EXPECT_FALSE(matches(grammar, "bddeffff"));
  EXPECT_FALSE(matches(grammar, "bddefggg"));
}

TEST(Gbnf, reads_groups_comments_and_line_ends) {
  const auto grammar = gbnf(
      "# start\nroot ::= ( \"x\" # inside\n  | item ) end\n  | \"z\"\n"
      "item ::= \"y\"\r\n\nend ::= \";\" # last");
  EXPECT_TRUE(matches(grammar, "x;"));
  EXPECT_TRUE(matches(grammar, "y;"));
  EXPECT_TRUE(matches(grammar, "z"));
  EXPECT_FALSE(matches(grammar, "x"));
}

TEST(Gbnf, matches_what_no_regular_expression_can) {
  const auto grammar = gbnf(R"x(root ::= "(" root ")" root | "")x");
  EXPECT_TRUE(matches(grammar, "(()(()))()"));
  EXPECT_FALSE(matches(grammar, "(()"));
  EXPECT_FALSE(matches(grammar, "())"));
}

TEST(Gbnf, follows_ambiguity_through_shared_callers) {
  const auto grammar =
      gbnf("root ::= pair \"1\" | pair \"2\" | \"a\" pair \"3\"\npair ::= \"a\" pair \"b\" | \"\"");
  EXPECT_TRUE(matches(grammar, "aabb1"));
  EXPECT_TRUE(matches(grammar, "aabb2"));
  EXPECT_TRUE(matches(grammar, "aaabb3"));
  EXPECT_TRUE(matches(grammar, "2"));
  EXPECT_FALSE(matches(grammar, "aabb3"));
  EXPECT_FALSE(matches(grammar, "aaabb1"));
}

TEST(Gbnf, names_the_place_of_an_error) {
  EXPECT_EQ(gbnf_error("root ::= \"a\"\nb ::= item"),
            "The grammar is wrong at line 2, column 7: rule 'item' is used but not defined.");
  EXPECT_NE(gbnf_error("root ::= \"a").find("line 1, column 10"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= [z-a]").find("backwards"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= []").find("allows no character"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= (\"a\"").find("')' was expected"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= \"a\"{3,2}").find("below its lower bound"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= \"a\"{99999}").find("may not be above 10000"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= \"a\"\nroot ::= \"b\"").find("defined twice"), std::string::npos);
  EXPECT_NE(gbnf_error("root = \"a\"").find("'::='"), std::string::npos);
  EXPECT_NE(gbnf_error("start ::= \"a\"").find("no rule named 'root'"), std::string::npos);
  EXPECT_NE(gbnf_error("").find("no rule named 'root'"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= \"\\uD800\"").find("no Unicode character"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= \"\xFF\"").find("UTF-8"), std::string::npos);
}

TEST(Gbnf, refuses_left_recursion_by_name) {
  EXPECT_NE(gbnf_error("root ::= root \"a\" | \"b\"").find("(root -> root)"), std::string::npos);
  EXPECT_NE(gbnf_error("root ::= x\nx ::= y \"1\" | \"2\"\ny ::= x").find("x -> y -> x"),
            std::string::npos);
  EXPECT_NE(gbnf_error("root ::= e root \"a\" | \"b\"\ne ::= \"\" | \"c\"").find("left-recursive"),
            std::string::npos);
  EXPECT_NE(gbnf_error("root ::= (\"\" | \"x\")* root").find("no finite text"), std::string::npos);
}

TEST(Gbnf, refuses_a_grammar_without_finite_text_and_prunes_dead_ends) {
  EXPECT_NE(gbnf_error("root ::= \"a\" root").find("no finite text"), std::string::npos);
  const auto grammar = gbnf("root ::= \"a\" loop | \"b\"\nloop ::= \"c\" loop");
  EXPECT_FALSE(matches(grammar, "a"));
  const auto tokens = byte_vocabulary();
  EXPECT_FALSE(make_matcher(grammar, tokens)->allows('a'));
  EXPECT_TRUE(make_matcher(grammar, tokens)->allows('b'));
}

TEST(Gbnf, gives_its_text_back) {
  const auto grammar = gbnf("root ::= \"a\"");
  EXPECT_EQ(gbnf(grammar->to_gbnf())->to_gbnf(), "root ::= \"a\"");
}

TEST(Gbnf, keeps_empty_loops_finite) {
  const auto grammar = gbnf(R"x(root ::= (("a"* | "")+ "b"?)*)x");
  EXPECT_TRUE(matches(grammar, ""));
  EXPECT_TRUE(matches(grammar, "aabab"));
}

TEST(Gbnf, bears_hostile_text) {
  EXPECT_NE(gbnf_error("root ::= " + std::string(100'000, '(')).find("nested deeper"),
            std::string::npos);
  EXPECT_NE(gbnf_error("root ::= \"a\"" + std::string(100'000, '*')).find("in a row"),
            std::string::npos);
  EXPECT_NE(
      gbnf_error(
          R"(root ::= (("a"{10000} "b"){10000} "c"){10000} "x"{10000} ("yz" [^a]){10000} )"
          R"([^b]{10000} [^b]{10000} [^b]{10000} [^b]{10000} [^b]{10000} [^b]{10000} )"
          R"([^b]{10000})")
          .find("parser states"),
      std::string::npos);
  const auto product = gbnf(R"(root ::= ("a"{1000}){1000})");
  const auto tokens = byte_vocabulary();
  const auto matcher = make_matcher(product, tokens);
  EXPECT_TRUE(matcher->accept_bytes(std::string(100'000, 'a')));
  EXPECT_TRUE(matcher->allows('a'));
  EXPECT_FALSE(matcher->can_end());
}

TEST(Gbnf, bounds_deep_nesting_of_the_text) {
  const auto grammar = gbnf(R"x(root ::= "(" root ")" | "")x");
  const auto tokens = byte_vocabulary();
  const auto matcher = make_matcher(grammar, tokens);
  EXPECT_TRUE(matcher->accept_bytes(std::string(10'000, '(')));
  const auto deeper = matcher->accept_bytes(std::string(100'000, '('));
  ASSERT_FALSE(deeper);
  EXPECT_EQ(deeper.error().code, Errc::resource_exhausted);
  EXPECT_TRUE(matcher->accept_bytes(std::string(10'000, ')')));
  EXPECT_TRUE(matcher->must_end());
}

TEST(Gbnf, bounds_ambiguity) {
  // Every prefix has exponentially many parses; stacks merge, so that the work stays polynomial,
  // and beyond the limit there is an error instead of a long wait.
  const auto grammar = gbnf("root ::= s\ns ::= \"a\" s s | \"a\" s | \"a\"");
  EXPECT_TRUE(matches(grammar, std::string(100, 'a')));
  const auto tokens = byte_vocabulary();
  const auto over = make_matcher(grammar, tokens)->accept_bytes(std::string(5'000, 'a'));
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Errc::resource_exhausted);
  std::string wide = "root ::= ";
  for (int i = 0; i < 200; ++i)
    wide += std::format("{}[a-z]{{0,50}} \"{}\"", i == 0 ? "" : " | ", i);
  EXPECT_TRUE(matches(gbnf(wide), "abcdefgh123"));
  const auto narrow = compile_text(wire::GrammarKind::gbnf, wide, {.stacks_max = 100});
  EXPECT_NE(error_of(narrow).find("less ambiguous"), std::string::npos);
}

}  // namespace
}  // namespace hf::grammar
