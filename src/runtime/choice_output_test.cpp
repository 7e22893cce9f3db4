#include "runtime/choice_output.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "runtime/scheduler_rig.hpp"

namespace hf::runtime {
namespace {

const std::vector<std::string> kMarkers = {"<tool_call>"};

const TokenTexts& texts() {
  static const TokenTexts all(ByteTokenizer(), kMarkers);
  return all;
}
const grammar::TokenTable& table() {
  static const grammar::TokenTable all = texts().table();
  return all;
}

std::shared_ptr<const grammar::Grammar> regex(std::string text) {
  auto compiled = grammar::compile({.kind = wire::GrammarKind::regex, .text = std::move(text)});
  EXPECT_TRUE(compiled);
  return *compiled;
}

// Wants to say exactly this, then ends.
std::vector<float> wish(Token token) {
  std::vector<float> logits(kVocabulary, -5.0F);
  logits[static_cast<std::size_t>(token)] = 5;
  return logits;
}

struct Said {
  std::string text;
  std::vector<Token> tokens;
  ChoiceEnd end;
};

// The model wishes for the script's tokens one after the other, whatever was picked.
Said say(const PreparedRequest& request, const std::vector<Token>& script,
         std::uint32_t tokens_max = 1000) {
  ChoiceOutput output(request, 0, tokens_max, texts(), table());
  for (std::size_t i = 0; i < script.size() && !output.ended(); ++i) {
    auto logits = wish(script[i]);
    (void)output.next(logits);
  }
  output.end(wire::FinishReason::length);
  auto delta = output.take_delta();
  return {delta.text, delta.tokens, output.ending()};
}

std::vector<Token> bytes(std::string_view text) {
  return ByteTokenizer().tokenize(text, false, false);
}

std::vector<Token> joined(std::initializer_list<std::vector<Token>> parts) {
  std::vector<Token> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(TokenTexts, only_markers_among_control_tokens_have_text) {
  EXPECT_EQ(texts().text(kMarker), "<tool_call>");
  EXPECT_EQ(texts().text(kControl), "");
  EXPECT_EQ(texts().text(kEnd), "");
  EXPECT_EQ(texts().text(-1), "");
  EXPECT_EQ(texts().text(1 << 30), "");
  EXPECT_TRUE(texts().ends(kEnd));
  EXPECT_FALSE(texts().ends(kMarker));
}

TEST(ChoiceOutput, gives_markers_as_text_and_other_control_tokens_not) {
  const auto said =
      say(make_request(1, "x"), joined({bytes("a"), {kMarker}, {kControl}, bytes("b")}));
  EXPECT_EQ(said.text, "a<tool_call>b");
  EXPECT_EQ(said.tokens.size(), 4U);
}

TEST(ChoiceOutput, an_end_token_is_no_output) {
  const auto said = say(make_request(1, "x"), joined({bytes("ab"), {kEnd}}));
  EXPECT_EQ(said.text, "ab");
  EXPECT_EQ(said.tokens.size(), 2U);
  EXPECT_EQ(said.end.reason, wire::FinishReason::stop);
}

TEST(ChoiceOutput, goes_on_after_the_end_token_if_asked_to) {
  auto request = make_request(1, "x");
  request.request.ignore_eos = 1;
  const auto said = say(request, joined({bytes("a"), {kEnd}, bytes("b")}));
  EXPECT_EQ(said.text, "ab");
  EXPECT_EQ(said.tokens.size(), 3U);
}

TEST(ChoiceOutput, cuts_at_a_stop_string) {
  auto request = make_request(1, "x");
  request.request.stop = {"END"};
  const auto said = say(request, bytes("text ENDmore"));
  EXPECT_EQ(said.text, "text ");
  EXPECT_EQ(said.end.stop_string, "END");
  EXPECT_EQ(said.tokens.size(), 8U);
}

TEST(ChoiceOutput, gives_held_back_text_at_the_end) {
  auto request = make_request(1, "x");
  request.request.stop = {"END"};
  EXPECT_EQ(say(request, bytes("xEN"), 3).text, "xEN");
  EXPECT_EQ(say(request, joined({bytes("xEN"), {kEnd}})).text, "xEN");
}

TEST(ChoiceOutput, always_fits_its_grammar) {
  auto request = make_request(1, "x");
  request.grammar = regex("[0-9]{3}-[a-z]{2}");
  const auto said = say(request, bytes("this is no number at all"));
  EXPECT_EQ(said.text.size(), 6U);
  EXPECT_EQ(said.text[3], '-');
  EXPECT_EQ(said.end.reason, wire::FinishReason::stop);
}

TEST(ChoiceOutput, the_end_token_waits_until_the_grammar_may_end) {
  auto request = make_request(1, "x");
  request.grammar = regex("[0-9]{2,5}");
  const auto said = say(request, joined({{kEnd}, bytes("1"), {kEnd}, bytes("2")}));
  EXPECT_EQ(said.text.size(), 2U);
  EXPECT_EQ(said.end.reason, wire::FinishReason::stop);
}

TEST(ChoiceOutput, a_grammar_behind_a_trigger_leaves_other_text_free) {
  auto request = make_request(1, "x");
  request.grammar = regex("[0-9]{3};");
  request.request.grammar.triggers = {"<tool_call>"};
  const auto said = say(request, joined({bytes("free <tool"), {kMarker}, bytes("abcdfree again")}));
  EXPECT_TRUE(said.text.starts_with("free <tool<tool_call>"));
  EXPECT_EQ(said.text[24], ';');
  EXPECT_TRUE(said.text.ends_with("free again")) << said.text;
}

TEST(ChoiceOutput, a_trigger_may_be_written_letter_by_letter) {
  auto request = make_request(1, "x");
  request.grammar = regex("[0-9]{3};");
  request.request.grammar.triggers = {"CALL"};
  const auto said = say(request, joined({bytes("CALCALLxxxx"), {kEnd}, bytes("y")}));
  EXPECT_TRUE(said.text.starts_with("CALCALL"));
  EXPECT_EQ(said.text.size(), 11U);
  EXPECT_EQ(said.text[10], ';');
  EXPECT_EQ(said.end.reason, wire::FinishReason::stop);
}

TEST(ChoiceOutput, a_token_over_a_trigger_must_fit_behind_it) {
  auto request = make_request(1, "x");
  request.grammar = regex("[0-9]+;");
  request.request.grammar.triggers = {"<tool"};
  // The marker holds the trigger and then "_call>", which is no number.
  const auto said = say(request, {kMarker, 'a'});
  EXPECT_FALSE(said.text.contains("<tool"));
}

// Resuming from every cut gives the same tokens and the same text, none lost and none twice.
void expect_resumable(const PreparedRequest& request, const LogitScript& script) {
  const auto whole = reference(request, 0, script, 4096);
  for (std::size_t cut = 0; cut <= whole.tokens.size(); ++cut) {
    const auto head = std::span(whole.tokens).first(cut);
    ChoiceOutput first(request, 0, request.request.max_tokens, texts(), table());
    first.replay(head, 0);
    const auto delivered = first.take_delta().text;
    // The crash may have cut off the text that the last tokens gave.
    for (const auto lost : {std::size_t{0}, std::min<std::size_t>(delivered.size(), 3)}) {
      const auto kept = delivered.substr(0, delivered.size() - lost);
      ChoiceOutput output(request, 0, request.request.max_tokens, texts(), table());
      output.replay(head, static_cast<std::uint32_t>(kept.size()));
      auto history = request.prompt;
      history.insert(history.end(), head.begin(), head.end());
      while (!output.ended()) {
        std::vector<float> logits(kVocabulary);
        script(history, 0, logits);
        if (const auto token = output.next(logits)) history.push_back(*token);
      }
      const auto delta = output.take_delta();
      EXPECT_EQ(kept + delta.text, whole.text) << cut;
      EXPECT_EQ(std::vector(history.begin() + static_cast<std::ptrdiff_t>(request.prompt.size()),
                            history.end()),
                whole.tokens);
      EXPECT_EQ(output.ending().reason, whole.done->reason) << cut;
      EXPECT_EQ(output.tokens(), whole.tokens.size());
    }
  }
}

TEST(ChoiceOutput, resumes_from_any_cut) {
  auto request = make_request(1, "prompt", 40);
  request.request.sampling = {
      .temperature = 1, .repetition_penalty = 1.3F, .frequency_penalty = 0.4F, .seed = 3};
  expect_resumable(request, random_letters(1000));
  request.request.stop = {reference(request, 0, random_letters(1000), 4096).text.substr(20, 3)};
  expect_resumable(request, random_letters(1000));
}

TEST(ChoiceOutput, resumes_inside_a_grammar) {
  auto request = make_request(1, "prompt", 40);
  request.request.sampling = {.temperature = 1, .seed = 3};
  request.grammar = regex("([a-f]{4}[0-9])*");
  expect_resumable(request, random_letters(30));
  request.request.grammar.triggers = {"e"};
  request.grammar = regex("[0-9]{3};");
  expect_resumable(request, random_letters(1000));
}

TEST(ChoiceOutput, text_of_a_flush_that_was_delivered_is_not_sent_twice) {
  auto request = make_request(1, "x", 10);
  request.request.stop = {"abc"};
  ChoiceOutput output(request, 0, 10, texts(), table());
  // "ab" was held back, then came out in a flush whose ChoiceDone was lost.
  output.replay(bytes("xab"), 3);
  EXPECT_FALSE(output.has_delta());
  auto logits = wish(kEnd);
  EXPECT_FALSE(output.next(logits));
  EXPECT_FALSE(output.has_delta());
  EXPECT_TRUE(output.ended());
}

TEST(ChoiceOutput, logprobs_carry_the_tokens_bytes) {
  auto request = make_request(1, "x");
  request.request.sampling.logprobs = 2;
  ChoiceOutput output(request, 0, 10, texts(), table());
  auto logits = wish('a');
  logits[kMarker] = 4;
  (void)output.next(logits);
  const auto delta = output.take_delta();
  ASSERT_EQ(delta.logprobs.size(), 1U);
  EXPECT_EQ(delta.logprobs[0].bytes, "a");
  ASSERT_EQ(delta.logprobs[0].top.size(), 2U);
  EXPECT_EQ(delta.logprobs[0].top[1].bytes, "<tool_call>");
}

}  // namespace
}  // namespace hf::runtime
