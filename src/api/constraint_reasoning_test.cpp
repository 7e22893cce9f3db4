// Grammars with room for reasoning accept exactly what they should.
#include "api/constraint_reasoning.hpp"

#include <gtest/gtest.h>

#include "grammar/grammar.hpp"

namespace hf::api {
namespace {

constexpr std::string_view kOpen = "<|assistant|><think>\n";
constexpr std::string_view kClosed = "<|assistant|><think>\n\n</think>\n\n";
constexpr std::string_view kNeither = "<|assistant|>\n";

bool accepts(const wire::Grammar& grammar, std::string_view text) {
  const auto compiled = grammar::compile(grammar);
  EXPECT_TRUE(compiled) << compiled.error().message;
  if (!compiled) return false;
  const grammar::TokenTable tokens({"a"}, {});
  const auto matcher = grammar::make_matcher(*compiled, tokens);
  return matcher->accept_bytes(text) && matcher->can_end();
}

wire::Grammar made(wire::Grammar grammar, std::string_view prompt,
                   RulesBy author = RulesBy::caller) {
  auto result = with_reasoning(std::move(grammar), author, prompt);
  EXPECT_TRUE(result) << result.error().message;
  return *std::move(result);
}

TEST(ConstraintReasoning, lets_an_open_thought_end_first) {
  for (const auto& grammar : std::vector<wire::Grammar>{
           {.kind = wire::GrammarKind::json_object},
           {.kind = wire::GrammarKind::json_schema, .text = R"({"type":"object"})"},
           {.kind = wire::GrammarKind::regex, .text = R"(\{\})"},
           {.kind = wire::GrammarKind::choice, .choices = {"{}", "x"}}}) {
    const auto rules = made(grammar, kOpen);
    EXPECT_TRUE(rules.triggers.empty());
    EXPECT_TRUE(accepts(rules, "I think, 1 < 2 << 3: 好</think>\n\n{}"));
    EXPECT_TRUE(accepts(rules, "</think>{}"));
    EXPECT_FALSE(accepts(rules, "{}"));
    EXPECT_FALSE(accepts(rules, "x</think>no"));
    EXPECT_FALSE(accepts(rules, "x</think>{}x"));
  }
}

TEST(ConstraintReasoning, lets_a_thought_come_where_none_is_open) {
  const auto rules = made({.kind = wire::GrammarKind::json_object}, kNeither);
  EXPECT_TRUE(accepts(rules, "{}"));
  EXPECT_TRUE(accepts(rules, "<think>\nhm</think>\n\n{}"));
  EXPECT_FALSE(accepts(rules, "<think>hm{}"));
  EXPECT_FALSE(accepts(rules, "hm{}"));
}

TEST(ConstraintReasoning, changes_nothing_behind_a_closed_thought) {
  EXPECT_EQ(made({.kind = wire::GrammarKind::json_object}, kClosed).kind,
            wire::GrammarKind::json_object);
}

TEST(ConstraintReasoning, keeps_a_callers_rules_as_they_are) {
  const wire::Grammar own{.kind = wire::GrammarKind::gbnf, .text = "root ::= \"a\" root?"};
  EXPECT_EQ(made(own, kNeither).text, own.text);
  const auto open = made(own, kOpen);
  EXPECT_EQ(open.text, own.text);
  EXPECT_EQ(open.triggers, std::vector<std::string>{"</think>"});
}

TEST(ConstraintReasoning, tells_what_is_wrong_with_a_schema) {
  const auto result =
      with_reasoning({.kind = wire::GrammarKind::json_schema, .text = "{"}, RulesBy::caller, kOpen);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::invalid_argument);
}

TEST(ConstraintReasoning, knows_what_binds_from_the_start) {
  EXPECT_FALSE(binds_from_start({}));
  EXPECT_TRUE(binds_from_start({.kind = wire::GrammarKind::json_object}));
  EXPECT_FALSE(binds_from_start({.kind = wire::GrammarKind::gbnf, .triggers = {"<tool_call>"}}));
}

}  // namespace
}  // namespace hf::api
