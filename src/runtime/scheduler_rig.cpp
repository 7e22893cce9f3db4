#include "runtime/scheduler_rig.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "runtime/choice_output.hpp"

namespace hf::runtime {
namespace {

const std::vector<std::string> kMarkers = {"<tool_call>"};

}  // namespace

PreparedRequest make_request(wire::RequestId id, std::string_view prompt,
                             std::uint32_t max_tokens) {
  PreparedRequest made;
  made.request.id = id;
  made.request.sampling.temperature = 0;
  made.request.max_tokens = max_tokens;
  made.prompt = ByteTokenizer().tokenize(prompt, false, false);
  return made;
}

std::string letters(std::size_t count, unsigned seed) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    seed = seed * 1'664'525U + 1'013'904'223U;
    text += static_cast<char>('a' + (seed >> 16U) % 26);
  }
  return text;
}

TestChoice reference(const PreparedRequest& request, std::uint32_t choice,
                     const LogitScript& script, std::uint32_t context) {
  const TokenTexts texts(ByteTokenizer(), kMarkers);
  const auto table = texts.table();
  const auto room = context - static_cast<std::uint32_t>(request.prompt.size());
  const auto wanted = request.request.max_tokens;
  ChoiceOutput output(request, choice, wanted == 0 ? room : std::min(wanted, room), texts, table);
  auto history = request.prompt;
  while (!output.ended()) {
    std::vector<float> logits(kVocabulary);
    script(history, request.adapter, logits);
    if (const auto token = output.next(logits)) history.push_back(*token);
  }
  auto delta = output.take_delta();
  TestChoice made{
      .tokens = std::move(delta.tokens), .text = std::move(delta.text), .logprobs = delta.logprobs};
  made.done = wire::ChoiceDone{.id = request.request.id,
                               .choice = choice,
                               .reason = output.ending().reason,
                               .stop_string = output.ending().stop_string,
                               .completion_tokens = output.tokens()};
  return made;
}

Rig::Rig(RigOptions given)
    : options(std::move(given)), texts(tokenizer, kMarkers), table(texts.table()) {
  start();
}

void Rig::start() {
  runner = std::make_unique<ScriptedRunner>(options.facts, options.script);
  runner->clock = &clock;
  scheduler = std::make_unique<Scheduler>(*runner, texts, table, options.scheduler, clock,
                                          [this](const wire::ToServer& event) { hear(event); });
}

void Rig::hear(const wire::ToServer& event) {
  if (events_left == 0) return;
  if (events_left != SIZE_MAX) --events_left;
  if (const auto* started = std::get_if<wire::Started>(&event)) {
    auto& answer = answers[started->id];
    EXPECT_TRUE(answer.choices.empty() || answer.started) << "Started comes first";
    if (!answer.started) answer.started = *started;
  } else if (const auto* delta = std::get_if<wire::Delta>(&event)) {
    hear_delta(*delta);
  } else if (const auto* choice_done = std::get_if<wire::ChoiceDone>(&event)) {
    auto& choice = answers[choice_done->id].choices[choice_done->choice];
    EXPECT_FALSE(choice.done) << "one ChoiceDone a choice";
    choice.done = *choice_done;
  } else if (const auto* done = std::get_if<wire::Done>(&event)) {
    EXPECT_FALSE(answers[done->id].over());
    answers[done->id].done = *done;
  } else if (const auto* failed = std::get_if<wire::Failed>(&event)) {
    answers[failed->id].failed = *failed;
  }
}

void Rig::hear_delta(const wire::Delta& delta) {
  auto& answer = answers[delta.id];
  EXPECT_TRUE(answer.started) << "Started comes first";
  EXPECT_FALSE(delta.tokens.empty() && delta.text.empty()) << "no empty Delta";
  auto& choice = answer.choices[delta.choice];
  EXPECT_FALSE(choice.done) << "ChoiceDone is a choice's last event";
  choice.tokens.insert(choice.tokens.end(), delta.tokens.begin(), delta.tokens.end());
  choice.logprobs.insert(choice.logprobs.end(), delta.logprobs.begin(), delta.logprobs.end());
  choice.text += delta.text;
  ++choice.deltas;
}

bool Rig::step() {
  const auto done = scheduler->step();
  EXPECT_TRUE(done) << (done ? "" : done.error().message);
  return done.value_or(false);
}

void Rig::run(std::size_t steps_max) {
  for (std::size_t i = 0; !scheduler->idle(); ++i) {
    ASSERT_LT(i, steps_max) << "it does not end";
    ASSERT_TRUE(step()) << "there is work, but none was done";
  }
}

wire::Stats Rig::stats() const {
  wire::Stats stats;
  scheduler->fill(stats);
  return stats;
}

void Rig::expect_reference(const PreparedRequest& request) {
  const auto id = request.request.id;
  auto& answer = answers[id];
  ASSERT_TRUE(answer.done) << id;
  ASSERT_TRUE(answer.started) << id;
  EXPECT_EQ(answer.started->tokens, request.prompt);
  const auto trained = options.facts.context_train_tokens;
  const auto context =
      trained == 0 ? options.facts.cells_total : std::min(trained, options.facts.cells_total);
  std::uint32_t total = 0;
  for (std::uint32_t i = 0; i < request.request.choices; ++i) {
    const auto expected = reference(request, i, options.script, context);
    const auto& choice = answer.choices[i];
    EXPECT_EQ(choice.tokens, expected.tokens) << "request " << id << " choice " << i;
    EXPECT_EQ(choice.text, expected.text) << "request " << id << " choice " << i;
    ASSERT_TRUE(choice.done);
    EXPECT_EQ(choice.done->reason, expected.done->reason) << "request " << id;
    EXPECT_EQ(choice.done->stop_string, expected.done->stop_string);
    EXPECT_EQ(choice.done->completion_tokens, expected.tokens.size());
    EXPECT_EQ(choice.logprobs.size(), expected.logprobs.size());
    total += static_cast<std::uint32_t>(expected.tokens.size());
  }
  EXPECT_EQ(answer.done->completion_tokens, total);
  EXPECT_EQ(answer.done->prompt_tokens, request.prompt.size());
}

void Rig::crash(const std::vector<PreparedRequest>& asked) {
  scheduler.reset();
  start();
  events_left = SIZE_MAX;
  for (auto request : asked) {
    auto& answer = answers[request.request.id];
    if (answer.over()) continue;
    if (answer.started) {
      request.request.resume_prompt = answer.started->tokens;
      for (std::uint32_t i = 0; i < request.request.choices; ++i) {
        const auto& choice = answer.choices[i];
        request.request.resume.push_back(choice.tokens);
        request.request.resume_finished.push_back(choice.done ? 1 : 0);
        request.request.resume_text_bytes.push_back(static_cast<std::uint32_t>(choice.text.size()));
      }
    }
    submit(std::move(request));
  }
}

void Rig::expect_clean() {
  EXPECT_TRUE(scheduler->idle());
  EXPECT_EQ(stats().cells_used, runner->cells_used());
  EXPECT_EQ(stats().sequences, runner->sequences_used());
  scheduler->forget_cached(UINT32_MAX);
  EXPECT_EQ(runner->cells_used(), 0U);
  EXPECT_EQ(runner->sequences_used(), 0U);
  EXPECT_EQ(stats().cells_used, 0U);
  EXPECT_EQ(stats().sequences, 0U);
}

}  // namespace hf::runtime
