// How the scheduler behaves when much is asked at once.
#include <algorithm>

#include <gtest/gtest.h>

#include "runtime/scheduler_rig.hpp"

namespace hf::runtime {
namespace {

constexpr std::uint64_t kNever = 1'000'000;

std::vector<CostPoint> curve(const std::function<double(std::uint32_t)>& cost_ms) {
  std::vector<CostPoint> points;
  for (std::uint32_t rows = 1; rows <= 512; rows *= 2) points.push_back({rows, cost_ms(rows)});
  return points;
}

// 6 ms for the weights, then 1 ms a row.
double cpu_cost(std::uint32_t rows) {
  return 6.0 + rows;
}

TEST(SchedulerLoad, steps_stay_short_while_others_decode) {
  Rig rig({.script = random_letters(kNever)});
  rig.runner->cost_ms = cpu_cost;
  rig.scheduler->set_costs(curve(cpu_cost));
  for (wire::RequestId id = 1; id <= 4; ++id) rig.submit(make_request(id, letters(5, 1), 100));
  for (int i = 0; i < 5; ++i) rig.step();
  const auto before = rig.runner->steps.size();
  rig.submit(make_request(9, letters(1500, 2), 1));
  while (!rig.answers[9].over()) rig.step();
  for (auto i = before; i < rig.runner->steps.size(); ++i) {
    EXPECT_LE(rig.runner->steps[i].rows, 132U);  // llama-server: 1500 in one call.
    EXPECT_GE(rig.runner->steps[i].outputs, 4U) << "everybody who decodes gets a token each step";
  }
}

TEST(SchedulerLoad, keeps_a_given_target_in_milliseconds) {
  Rig rig({.scheduler = {.step_ms_target = 60}, .script = random_letters(kNever)});
  rig.runner->cost_ms = cpu_cost;
  rig.scheduler->set_costs(curve(cpu_cost));
  rig.submit(make_request(1, "abc", 100));
  for (int i = 0; i < 3; ++i) rig.step();
  rig.submit(make_request(2, letters(500, 2), 1));
  std::uint32_t longest = 0;
  while (!rig.answers[2].over()) {
    rig.step();
    longest = std::max(longest, rig.runner->steps.back().rows);
  }
  EXPECT_LE(cpu_cost(longest), 61);
  EXPECT_GE(cpu_cost(longest), 50);
}

TEST(SchedulerLoad, finished_prefixes_leave_their_cells_where_those_cost_time) {
  Rig rig({.facts = {.cells_total = 4096,
                     .sequences_max = 64,
                     .rows_max = 512,
                     .outputs_max = 64,
                     .idle_cells_cost = true}});
  rig.submit(make_request(1, letters(400, 2), 5));
  rig.run();
  EXPECT_EQ(rig.stats().cells_used, 0U);
  const auto before = rig.stats().prompt_tokens;
  const auto longer = make_request(2, letters(400, 2) + letters(30, 7), 5);
  rig.submit(longer);
  rig.run();
  rig.expect_reference(longer);
  EXPECT_LE(rig.stats().prompt_tokens - before, 31U);
  EXPECT_GE(rig.answers[2].done->cached_tokens, 399U);
  EXPECT_EQ(rig.stats().cells_used, 0U);
}

TEST(SchedulerLoad, prefill_takes_long_steps_while_nobody_decodes) {
  Rig rig;
  rig.submit(make_request(1, letters(1024, 2), 1));
  rig.run();
  EXPECT_EQ(rig.runner->steps.size(), 2U);
}

TEST(SchedulerLoad, overflow_completes_all) {
  for (const std::uint64_t swap_bytes : {std::uint64_t{1} << 20U, std::uint64_t{0}}) {
    Rig rig({.facts = {.cells_total = 300, .sequences_max = 16, .rows_max = 128, .outputs_max = 16},
             .scheduler = {.swap_bytes_max = swap_bytes},
             .script = random_letters(kNever)});
    std::vector<PreparedRequest> asked;
    for (wire::RequestId id = 1; id <= 8; ++id) {
      asked.push_back(make_request(id, letters(40, static_cast<unsigned>(id)), 90));
      // Makes later ones seem short, so that too many are let in.
      rig.submit(make_request(100 + id, letters(3, static_cast<unsigned>(id)), 1));
    }
    rig.run();
    for (const auto& request : asked) rig.submit(request);
    rig.run();
    for (const auto& request : asked) rig.expect_reference(request);
    EXPECT_GT(rig.stats().preemptions, 0U);
    EXPECT_EQ(rig.runner->restores > 0, swap_bytes > 0);
    rig.expect_clean();
  }
}

TEST(SchedulerLoad, a_failed_restore_is_computed_again) {
  Rig rig({.facts = {.cells_total = 200, .sequences_max = 16, .rows_max = 128, .outputs_max = 16},
           .script = random_letters(kNever)});
  for (wire::RequestId id = 100; id <= 110; ++id) rig.submit(make_request(id, "abc", 1));
  rig.run();
  rig.runner->restores_fail = true;
  std::vector<PreparedRequest> asked;
  for (wire::RequestId id = 1; id <= 5; ++id) {
    asked.push_back(make_request(id, letters(40, static_cast<unsigned>(id)), 60));
    rig.submit(asked.back());
  }
  rig.run();
  for (const auto& request : asked) rig.expect_reference(request);
  EXPECT_GT(rig.runner->saves, 0U);
  rig.expect_clean();
}

TEST(SchedulerLoad, survives_a_runner_with_less_room_than_it_said) {
  Rig rig({.facts = {.cells_total = 300, .sequences_max = 16, .rows_max = 128, .outputs_max = 16},
           .script = random_letters(kNever)});
  rig.runner->cells_unusable = 60;
  std::vector<PreparedRequest> asked;
  for (wire::RequestId id = 1; id <= 6; ++id) {
    asked.push_back(make_request(id, letters(50, static_cast<unsigned>(id)), 60));
    rig.submit(asked.back());
  }
  rig.run();
  for (const auto& request : asked) rig.expect_reference(request);
  rig.expect_clean();
}

TEST(SchedulerLoad, a_request_that_fills_the_pool_ends_with_length) {
  Rig rig({.facts = {.cells_total = 64, .sequences_max = 4, .rows_max = 64, .outputs_max = 4},
           .script = random_letters(kNever)});
  rig.runner->cells_unusable = 10;
  rig.submit(make_request(1, letters(30, 1)));
  rig.submit(make_request(2, letters(30, 2), 4));
  rig.run();
  EXPECT_EQ(rig.answers[1].choices[0].done->reason, wire::FinishReason::length);
  EXPECT_GE(rig.answers[1].choices[0].tokens.size(), 20U);
  EXPECT_EQ(rig.answers[2].choices[0].tokens.size(), 4U);
}

TEST(SchedulerLoad, a_flood_of_one_tenant_does_not_delay_another) {
  Rig rig({.scheduler = {.running_max = 4}, .script = random_letters(kNever)});
  for (wire::RequestId id = 1; id <= 100; ++id) {
    auto request = make_request(id, letters(30, static_cast<unsigned>(id)), 20);
    request.request.tenant = "flood";
    rig.submit(request);
  }
  for (int i = 0; i < 5; ++i) rig.step();
  auto single = make_request(200, letters(30, 200), 20);
  single.request.tenant = "single";
  rig.submit(single);
  while (!rig.answers[200].over()) rig.step();
  const auto over =
      std::ranges::count_if(rig.answers, [](const auto& entry) { return entry.second.over(); });
  EXPECT_LE(over, 13);
  rig.run();
}

TEST(SchedulerLoad, interactive_requests_take_the_place_of_batch_ones) {
  Rig rig({.scheduler = {.running_max = 2}, .script = random_letters(kNever)});
  std::vector<PreparedRequest> asked;
  for (wire::RequestId id = 1; id <= 3; ++id) {
    asked.push_back(make_request(id, letters(40, static_cast<unsigned>(id)), 100));
    asked.back().request.priority = wire::Priority::batch;
    rig.submit(asked.back());
  }
  for (int i = 0; i < 40; ++i) rig.step();
  auto urgent = make_request(9, letters(30, 9), 10);
  urgent.request.priority = wire::Priority::interactive;
  urgent.arrived = rig.clock.now();
  rig.submit(urgent);
  int steps = 0;
  while (!rig.answers[9].over()) {
    rig.step();
    ASSERT_LE(++steps, 12);
  }
  rig.run();
  for (const auto& request : asked) rig.expect_reference(request);
}

TEST(SchedulerLoad, two_adapters_get_their_first_token_quickly) {
  Rig rig({.script = random_letters(kNever)});
  std::vector<PreparedRequest> asked;
  for (wire::RequestId id = 1; id <= 12; ++id) {
    asked.push_back(make_request(id, letters(20, static_cast<unsigned>(id)), 30));
    asked.back().adapter = static_cast<AdapterId>(id % 3);
    rig.submit(asked.back());
  }
  for (int i = 0; i < 9; ++i) rig.step();
  for (wire::RequestId id = 1; id <= 12; ++id)
    EXPECT_FALSE(rig.answers[id].choices[0].tokens.empty()) << id;
  EXPECT_TRUE(rig.scheduler->uses(2));
  rig.run();
  for (const auto& request : asked) rig.expect_reference(request);
  // Requests of one adapter are computed together.
  EXPECT_LE(rig.runner->steps.size(), 3U * 36);
  EXPECT_FALSE(rig.scheduler->uses(2));
  rig.expect_clean();
}

TEST(SchedulerLoad, decoding_and_prompts_share_tiny_steps) {
  for (const std::uint32_t rows : {1U, 2U, 5U}) {
    Rig rig(
        {.facts = {.cells_total = 2048, .sequences_max = 32, .rows_max = rows, .outputs_max = rows},
         .scheduler = {.share_prefixes = false}});
    std::vector<PreparedRequest> asked;
    for (wire::RequestId id = 1; id <= 8; ++id) {
      asked.push_back(make_request(id, letters(20, static_cast<unsigned>(id)), 20));
      rig.submit(asked.back());
    }
    rig.run();
    for (const auto& request : asked) rig.expect_reference(request);
  }
}

// Repeats a text of eleven letters, with a slip now and then.
void loop_script(std::span<const Token> tokens, AdapterId, std::span<float> logits) {
  std::ranges::fill(logits, -20.0F);
  const auto at = tokens.size();
  const auto slip = at % 37 == 0 ? 5U : 0U;
  logits['a' + at % 11 + slip] = 5;
  logits['a' + (at + 1) % 11] = 3.5F;
}

TEST(SchedulerLoad, guessing_changes_nothing_but_the_number_of_steps) {
  // As on a GPU: rows are almost free.
  const auto gpu_cost = [](std::uint32_t rows) { return 20 + 0.02 * rows; };
  for (const float temperature : {0.0F, 0.7F}) {
    std::vector<std::size_t> steps;
    for (const bool speculate : {false, true}) {
      Rig rig({.scheduler = {.speculate = speculate}, .script = loop_script});
      rig.scheduler->set_costs(curve(gpu_cost));
      auto request = make_request(1, "abcdefghijkabcdefghijk", 200);
      request.request.sampling = {.temperature = temperature, .seed = 5, .logprobs = 1};
      rig.submit(request);
      rig.run();
      rig.expect_reference(request);
      steps.push_back(rig.runner->steps.size());
      EXPECT_EQ(rig.stats().accepted_tokens > 0, speculate);
      rig.expect_clean();
    }
    EXPECT_LT(steps[1] * 2, steps[0]);
  }
}

TEST(SchedulerLoad, nothing_is_guessed_where_rows_cost_their_price) {
  Rig rig({.script = loop_script});
  rig.scheduler->set_costs(curve([](std::uint32_t rows) { return 5.0 * rows; }));
  rig.submit(make_request(1, "abcdefghijkabcdefghijk", 100));
  rig.run();
  EXPECT_EQ(rig.stats().drafted_tokens, 0U);
}

TEST(SchedulerLoad, nothing_is_guessed_under_load) {
  Rig rig({.script = loop_script});
  rig.scheduler->set_costs(curve([](std::uint32_t) { return 20.0; }));
  for (wire::RequestId id = 1; id <= 8; ++id)
    rig.submit(make_request(id, "abcdefghijkabcdefghijk", 50));
  for (int i = 0; i < 40; ++i) rig.step();
  EXPECT_EQ(rig.stats().drafted_tokens, 0U);
  rig.run();
}

TEST(SchedulerLoad, tells_what_it_does) {
  Rig rig({.scheduler = {.running_max = 2}, .script = random_letters(kNever)});
  for (wire::RequestId id = 1; id <= 3; ++id) rig.submit(make_request(id, letters(20, 3), 10));
  rig.step();
  auto stats = rig.stats();
  EXPECT_EQ(stats.running, 2U);
  EXPECT_EQ(stats.waiting, 1U);
  EXPECT_EQ(stats.cells_total, 4096U);
  rig.run();
  stats = rig.stats();
  EXPECT_EQ(stats.generated_tokens, 30U);
  EXPECT_EQ(stats.prompt_tokens + stats.cached_tokens, 60U);
  EXPECT_EQ(stats.steps, rig.runner->steps.size());
  EXPECT_NEAR(stats.step_ms_recent, 1, 0.01);
}

}  // namespace
}  // namespace hf::runtime
