#include "runtime/scheduler.hpp"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "runtime/scheduler_rig.hpp"

namespace hf::runtime {
namespace {

std::uint32_t rows_of(const std::vector<ScriptedRunner::Step>& steps) {
  return std::accumulate(steps.begin(), steps.end(), 0U,
                         [](std::uint32_t sum, const auto& step) { return sum + step.rows; });
}

TEST(Scheduler, answers_as_the_model_says) {
  Rig rig;
  auto request = make_request(1, "hello");
  rig.submit(request);
  rig.run();
  rig.expect_reference(request);
  EXPECT_EQ(rig.answers[1].started->prompt_tokens, 5U);
  rig.expect_clean();
}

TEST(Scheduler, computes_each_token_once) {
  Rig rig;
  rig.submit(make_request(1, letters(100, 1), 20));
  rig.run();
  const auto made = static_cast<std::uint32_t>(rig.answers[1].choices[0].tokens.size());
  const auto ends_by_token = rig.answers[1].choices[0].done->reason == wire::FinishReason::stop;
  EXPECT_EQ(rows_of(rig.runner->steps), 100 + made - (ends_by_token ? 0 : 1));
}

TEST(Scheduler, batches_everything_that_runs) {
  Rig rig;
  std::vector<PreparedRequest> asked;
  for (wire::RequestId id = 1; id <= 20; ++id)
    asked.push_back(make_request(id, letters(10, static_cast<unsigned>(id)), 30));
  for (const auto& request : asked) rig.submit(request);
  rig.run();
  for (const auto& request : asked) rig.expect_reference(request);
  EXPECT_LT(rig.runner->steps.size(), 45U);
  rig.expect_clean();
}

TEST(Scheduler, refuses_a_prompt_that_can_never_fit) {
  Rig rig({.scheduler = {.request_tokens_max = 64}});
  rig.submit(make_request(1, letters(64, 1)));
  ASSERT_TRUE(rig.answers[1].failed);
  EXPECT_EQ(rig.answers[1].failed->code, Errc::invalid_argument);
  EXPECT_TRUE(rig.answers[1].failed->message.contains("maximum context length is 64 tokens"));
  EXPECT_TRUE(rig.answers[1].failed->message.contains("the prompt alone has 64"));
  EXPECT_TRUE(rig.scheduler->idle());
}

TEST(Scheduler, refuses_too_many_requests) {
  Rig rig({.scheduler = {.requests_max = 2}});
  for (wire::RequestId id = 1; id <= 3; ++id) rig.submit(make_request(id, "abc"));
  ASSERT_TRUE(rig.answers[3].failed);
  EXPECT_EQ(rig.answers[3].failed->code, Errc::resource_exhausted);
}

TEST(Scheduler, refuses_what_it_cannot_understand) {
  Rig rig;
  rig.submit(make_request(1, ""));
  auto unknown = make_request(2, "a");
  unknown.prompt.push_back(5000);
  rig.submit(unknown);
  auto many = make_request(3, "a");
  many.request.choices = 1'000'000;
  rig.submit(many);
  auto resumed = make_request(4, "a");
  resumed.request.resume = {{-7}};
  rig.submit(resumed);
  for (wire::RequestId id = 1; id <= 4; ++id) {
    ASSERT_TRUE(rig.answers[id].failed);
    EXPECT_EQ(rig.answers[id].failed->code, Errc::invalid_argument);
  }
}

TEST(Scheduler, ends_with_length_at_the_end_of_the_context) {
  Rig rig({.scheduler = {.request_tokens_max = 32}, .script = random_letters(1'000'000)});
  rig.submit(make_request(1, letters(20, 1)));
  rig.run();
  EXPECT_EQ(rig.answers[1].choices[0].tokens.size(), 12U);
  EXPECT_EQ(rig.answers[1].choices[0].done->reason, wire::FinishReason::length);
}

TEST(Scheduler, sends_one_delta_a_step_with_each_token) {
  Rig rig({.script = random_letters(1'000'000)});
  rig.submit(make_request(1, "abc", 10));
  rig.run();
  EXPECT_EQ(rig.answers[1].choices[0].deltas, 10U);
}

TEST(Scheduler, cancels_before_the_next_step) {
  Rig rig({.script = random_letters(1'000'000)});
  rig.submit(make_request(1, "abc"));
  rig.submit(make_request(2, "abd", 5));
  rig.step();
  rig.step();
  rig.scheduler->cancel(1);
  rig.scheduler->cancel(77);
  ASSERT_TRUE(rig.answers[1].done);
  EXPECT_EQ(rig.answers[1].choices[0].done->reason, wire::FinishReason::cancelled);
  rig.run();
  EXPECT_FALSE(rig.answers[2].failed);
  rig.expect_clean();
}

TEST(Scheduler, keeps_deadlines_also_of_waiting_requests) {
  Rig rig({.scheduler = {.running_max = 1}, .script = random_letters(1'000'000)});
  for (wire::RequestId id = 1; id <= 2; ++id) {
    auto request = make_request(id, "abc");
    request.request.deadline_ms = 50;
    request.arrived = rig.clock.now();
    rig.submit(request);
  }
  rig.run();
  for (wire::RequestId id = 1; id <= 2; ++id) {
    EXPECT_EQ(rig.answers[id].choices[0].done->reason, wire::FinishReason::deadline);
  }
  EXPECT_NEAR(to_ms(rig.clock.now().time_since_epoch()), 50, 2);
  rig.expect_clean();
}

TEST(Scheduler, forks_choices_from_one_prompt) {
  Rig rig;
  auto request = make_request(1, letters(200, 3), 20);
  request.request.choices = 5;
  request.request.sampling = {.temperature = 1, .seed = 9};
  rig.submit(request);
  rig.run();
  rig.expect_reference(request);
  EXPECT_LE(rig.stats().prompt_tokens, 200U + 4);
  EXPECT_NE(rig.answers[1].choices[0].text, rig.answers[1].choices[1].text);
  rig.expect_clean();
}

TEST(Scheduler, forks_even_where_requests_share_nothing) {
  Rig rig({.scheduler = {.share_prefixes = false}});
  auto request = make_request(1, letters(200, 3), 5);
  request.request.choices = 3;
  rig.submit(request);
  rig.submit(make_request(2, letters(200, 3), 5));
  rig.run();
  EXPECT_LE(rig.stats().prompt_tokens, 400U + 2);
  EXPECT_GE(rig.stats().prompt_tokens, 400U);
  EXPECT_EQ(rig.runner->cells_used(), 0U);
}

TEST(Scheduler, reuses_a_finished_conversation) {
  Rig rig;
  auto first = make_request(1, letters(100, 4), 10);
  rig.submit(first);
  rig.run();
  auto second = make_request(2, letters(100, 4) + rig.answers[1].choices[0].text + "more", 10);
  rig.submit(second);
  rig.run();
  rig.expect_reference(second);
  EXPECT_GE(rig.answers[2].started->cached_tokens, 108U);
  EXPECT_EQ(rig.answers[2].done->cached_tokens, rig.answers[2].started->cached_tokens);
}

TEST(Scheduler, does_not_share_between_scopes) {
  Rig rig;
  auto first = make_request(1, letters(100, 4), 5);
  first.request.cache_scope = "a";
  auto second = make_request(2, letters(100, 4), 5);
  second.request.cache_scope = "b";
  rig.submit(first);
  rig.run();
  rig.submit(second);
  rig.run();
  EXPECT_EQ(rig.answers[2].started->cached_tokens, 0U);
}

TEST(Scheduler, computes_a_shared_prefix_once_while_it_is_in_flight) {
  Rig rig(
      {.facts = {.cells_total = 8192, .sequences_max = 64, .rows_max = 128, .outputs_max = 64}});
  const auto prefix = letters(600, 5);
  std::vector<PreparedRequest> asked;
  for (wire::RequestId id = 1; id <= 8; ++id) {
    asked.push_back(make_request(id, prefix + letters(10, 50 + static_cast<unsigned>(id)), 10));
    rig.submit(asked.back());
  }
  rig.run();
  for (const auto& request : asked) rig.expect_reference(request);
  EXPECT_LE(rig.stats().prompt_tokens, 600U + 8 * 12);
  rig.expect_clean();
}

TEST(Scheduler, goes_on_alone_when_the_awaited_request_is_cancelled) {
  Rig rig({.facts = {.cells_total = 8192, .sequences_max = 64, .rows_max = 64, .outputs_max = 64}});
  const auto prefix = letters(600, 5);
  rig.submit(make_request(1, prefix + "x", 10));
  const auto second = make_request(2, prefix + "y", 10);
  rig.submit(second);
  for (int i = 0; i < 4; ++i) rig.step();
  rig.scheduler->cancel(1);
  rig.run();
  rig.expect_reference(second);
  // What the cancelled one had computed is not lost.
  EXPECT_LE(rig.stats().prompt_tokens, 620U);
  rig.expect_clean();
}

TEST(Scheduler, shutdown_fails_everything) {
  Rig rig({.scheduler = {.running_max = 1}});
  rig.submit(make_request(1, "abc"));
  rig.submit(make_request(2, "abc"));
  rig.step();
  rig.scheduler->fail_all(Error{Errc::unavailable, "Going down."});
  for (wire::RequestId id = 1; id <= 2; ++id)
    EXPECT_EQ(rig.answers[id].failed->code, Errc::unavailable);
  rig.expect_clean();
}

TEST(Scheduler, serves_models_that_can_neither_share_nor_cut) {
  Rig rig({.facts = {.cells_total = 256,
                     .sequences_max = 8,
                     .rows_max = 64,
                     .outputs_max = 8,
                     .shares_prefixes = false,
                     .truncates = false}});
  std::vector<PreparedRequest> asked;
  for (wire::RequestId id = 1; id <= 12; ++id) {
    asked.push_back(make_request(id, letters(40, 6), 30));
    rig.submit(asked.back());
  }
  rig.run();
  for (const auto& request : asked) rig.expect_reference(request);
  rig.expect_clean();
}

}  // namespace
}  // namespace hf::runtime
