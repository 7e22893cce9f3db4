#include "inference/engine_pool.hpp"

#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "fake_engine/pool_fixture.hpp"

namespace hf::inference::test {
namespace {

template <class T>
struct Answer {
  std::promise<Result<T>> promise;
  Reply<T> reply() {
    return [this](Result<T> result) { promise.set_value(std::move(result)); };
  }
  Result<T> get() { return promise.get_future().get(); }
};

TEST(EnginePool, streams_every_choice_exactly) {
  Pool pool(quick());
  for (const std::uint32_t choices : {1U, 3U}) {
    const auto request = ask("hello", 40, choices);
    const auto recorder = std::make_shared<Recorder>();
    const auto generation = pool->generate("m", request, recorder);
    ASSERT_TRUE(generation);
    ASSERT_TRUE(recorder->wait());
    expect_exact(*recorder, request);
  }
}

TEST(EnginePool, names_the_models_it_has_when_one_is_unknown) {
  Pool pool(quick(), {record("a"), record("b"), record("law", "adapter", "a")});
  const auto refused = pool->generate("zzz", ask("x"), std::make_shared<Recorder>());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_found);
  EXPECT_TRUE(refused.error().message.contains("a, b, a:law")) << refused.error().message;
  EXPECT_EQ(pool->model("a:none").error().code, Errc::not_found);
  EXPECT_EQ(pool->models().size(), 2U);
  EXPECT_EQ(pool->model("a")->adapters, std::vector<std::string>{"law"});
}

TEST(EnginePool, needs_an_engine_program) {
  auto options = quick();
  options.engine_program = "/nowhere/engine";
  Metrics metrics;
  const auto source = std::make_shared<ListedModels>(std::vector{record("m")});
  EXPECT_EQ(EnginePool::open(options, source, metrics).error().code, Errc::failed_precondition);
}

TEST(EnginePool, shares_one_load_between_all_who_wait) {
  auto options = quick();
  options.engine_arguments = {"--load-ms", "100"};
  Pool pool(options);
  std::vector<std::jthread> callers;
  std::atomic<int> good = 0;
  for (int i = 0; i < 16; ++i) {
    callers.emplace_back([&pool, &good, i] {
      if (i % 2 == 0) {
        good += pool.ready("m") ? 1 : 0;
        return;
      }
      const auto recorder = std::make_shared<Recorder>();
      const auto generation = pool->generate("m", ask("p" + std::to_string(i)), recorder);
      good += generation && recorder->wait() && recorder->record().error.message.empty() ? 1 : 0;
    });
  }
  while (pool->model("m")->state != ModelState::ready) {
    EXPECT_LE(children().size(), 1U);
    std::this_thread::sleep_for(5ms);
  }
  callers.clear();
  EXPECT_EQ(good, 16);
  EXPECT_EQ(children().size(), 1U);
}

TEST(EnginePool, answers_embeddings_scores_and_tokens) {
  Pool pool(quick());
  Answer<wire::Embeddings> embeddings;
  pool->embed("m", {.id = 0, .texts = {"abc", "de"}}, embeddings.reply());
  EXPECT_EQ(embeddings.get()->values, (std::vector<float>{3, 2}));
  Answer<wire::Scores> scores;
  pool->rerank("m", {.id = 0, .query = "q", .documents = {"four"}}, scores.reply());
  EXPECT_EQ(scores.get()->values, std::vector<float>{4});
  Answer<wire::Tokens> tokens;
  wire::Tokenize tokenize;
  tokenize.prompt.text = "hi";
  pool->tokenize("m", tokenize, tokens.reply());
  EXPECT_EQ(tokens.get()->tokens, fake::tokens_of("hi"));
  Answer<wire::Tokens> text;
  pool->detokenize("m", {.id = 0, .tokens = {'o', 'k'}}, text.reply());
  EXPECT_EQ(text.get()->text, "ok");
  Answer<wire::Tokens> unknown;
  pool->tokenize("nope", tokenize, unknown.reply());
  EXPECT_EQ(unknown.get().error().code, Errc::not_found);
}

TEST(EnginePool, loads_adapters_when_they_are_asked_for) {
  Pool pool(quick(), {record("m"), record("law", "adapter", "m", "/law.gguf"),
                      record("bad", "adapter", "m", "/broken.gguf")});
  for (const auto* name : {"m:law", "law", "m:law"}) {
    const auto recorder = std::make_shared<Recorder>();
    const auto generation = pool->generate(name, ask("x"), recorder);
    ASSERT_TRUE(generation);
    ASSERT_TRUE(recorder->wait());
    expect_exact(*recorder, ask("x"), "law");
  }
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m:bad", ask("x"), recorder);
  ASSERT_TRUE(recorder->wait());
  EXPECT_EQ(recorder->record().error.code, Errc::data_corrupt);

  Answer<wire::Ack> loaded;
  pool->load_adapter("m", {.id = 0, .name = "own", .path = "/own.gguf"}, loaded.reply());
  ASSERT_TRUE(loaded.get());
  const auto second = std::make_shared<Recorder>();
  const auto with_own = pool->generate("m:own", ask("x"), second);
  ASSERT_TRUE(second->wait());
  expect_exact(*second, ask("x"), "own");
  Answer<wire::Ack> gone;
  pool->unload_adapter("m", {.id = 0, .name = "own"}, gone.reply());
  ASSERT_TRUE(gone.get());
  EXPECT_EQ(pool->generate("m:own", ask("x"), second).error().code, Errc::not_found);
}

TEST(EnginePool, tells_only_the_end_of_a_cancelled_generation) {
  Pool pool(quick());
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", ask("!slow", 10'000), recorder).value();
  ASSERT_TRUE(recorder->wait_tokens(3));
  generation->cancel();
  const auto calls = recorder->record().calls;
  ASSERT_TRUE(recorder->wait());
  const auto got = recorder->record();
  EXPECT_EQ(got.ends, 1);
  EXPECT_EQ(got.error.message, "");
  EXPECT_LE(got.calls, calls + 2);  // One may have been under way.
}

TEST(EnginePool, is_silent_after_the_handle_is_gone) {
  Pool pool(quick());
  const auto recorder = std::make_shared<Recorder>();
  auto generation = pool->generate("m", ask("!slow", 10'000), recorder).value();
  ASSERT_TRUE(recorder->wait_tokens(3));
  generation.reset();
  const auto calls = recorder->record().calls;
  const auto next = std::make_shared<Recorder>();
  const auto other = pool->generate("m", ask("y"), next);
  ASSERT_TRUE(next->wait());
  EXPECT_LE(recorder->record().calls, calls + 1);
  EXPECT_EQ(recorder->record().ends, 0);
}

TEST(EnginePool, ends_a_cancelled_generation_that_no_engine_has) {
  auto options = quick();
  options.engine_arguments = {"--load-ms", "300"};
  Pool pool(options);
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", ask("x"), recorder).value();
  generation->cancel();
  ASSERT_TRUE(recorder->wait());
  EXPECT_EQ(recorder->record().calls, 1);
  EXPECT_EQ(recorder->record().error.message, "");
}

TEST(EnginePool, refuses_requests_over_its_bound) {
  auto options = quick();
  options.requests_max = 3;
  Pool pool(options);
  std::vector<std::unique_ptr<Generation>> running;
  for (int i = 0; i < 3; ++i) {
    running.push_back(
        pool->generate("m", ask("!slow", 1000), std::make_shared<Recorder>()).value());
  }
  const auto refused = pool->generate("m", ask("x"), std::make_shared<Recorder>());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::resource_exhausted);
}

TEST(EnginePool, refuses_with_both_numbers_what_cannot_fit) {
  auto options = quick();
  options.memory_budget_bytes = std::uint64_t{10} << 20U;
  options.estimate = [](const auto&) { return std::uint64_t{25} << 20U; };
  Pool pool(options);
  const auto status = pool.ready("m");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::resource_exhausted);
  EXPECT_TRUE(status.error().message.contains("25 MiB")) << status.error().message;
  EXPECT_TRUE(status.error().message.contains("10 MiB")) << status.error().message;
}

TEST(EnginePool, evicts_the_longest_idle_model_and_never_a_busy_one) {
  auto options = quick();
  options.memory_budget_bytes = std::uint64_t{25} << 20U;
  options.estimate = [](const auto&) { return std::uint64_t{10} << 20U; };
  Pool pool(options, {record("a"), record("b"), record("c"), record("d")});
  ASSERT_TRUE(pool.ready("a"));
  ASSERT_TRUE(pool.ready("b"));
  ASSERT_TRUE(pool.ready("a"));  // Now b is the longest idle one.
  ASSERT_TRUE(pool.ready("c"));
  EXPECT_EQ(pool->model("a")->state, ModelState::ready);
  EXPECT_EQ(pool->model("b")->state, ModelState::unloaded);
  const auto in_a = std::make_shared<Recorder>();
  const auto in_c = std::make_shared<Recorder>();
  const auto first = pool->generate("a", ask("!slow", 1000), in_a);
  const auto second = pool->generate("c", ask("!slow", 1000), in_c);
  ASSERT_TRUE(in_a->wait_tokens(1) && in_c->wait_tokens(1));
  const auto refused = pool.ready("d");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::resource_exhausted);
  EXPECT_EQ(pool->model("a")->state, ModelState::ready);
  EXPECT_EQ(pool->model("c")->state, ModelState::ready);
}

TEST(EnginePool, keeps_to_the_number_of_models) {
  auto options = quick();
  options.models_max = 1;
  Pool pool(options, {record("a"), record("b")});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(pool.ready("a"));
    ASSERT_TRUE(pool.ready("b"));
    EXPECT_LE(children().size(), 1U);
  }
}

TEST(EnginePool, unloads_when_idle_or_told_to_and_loads_again) {
  auto options = quick();
  options.idle_unload = 50ms;
  options.pinned = {"kept"};
  Pool pool(options, {record("m"), record("kept")});
  for (int i = 0; i < 2; ++i) {
    const auto recorder = std::make_shared<Recorder>();
    const auto generation = pool->generate("m", ask("x"), recorder);
    ASSERT_TRUE(recorder->wait());
    expect_exact(*recorder, ask("x"));
    ASSERT_TRUE(pool.reaches("m", ModelState::unloaded));
  }
  ASSERT_TRUE(pool.reaches("kept", ModelState::ready));
  ASSERT_TRUE(pool->unload("kept"));
  ASSERT_TRUE(pool.reaches("kept", ModelState::unloaded));
  ASSERT_TRUE(pool.ready("kept"));
}

TEST(EnginePool, unloads_only_after_running_requests) {
  Pool pool(quick());
  const auto running = std::make_shared<Recorder>();
  const auto first = pool->generate("m", ask("!slow", 20), running);
  ASSERT_TRUE(running->wait_tokens(1));
  ASSERT_TRUE(pool->unload("m"));
  const auto next = std::make_shared<Recorder>();
  const auto second = pool->generate("m", ask("next"), next);
  ASSERT_TRUE(running->wait());
  ASSERT_TRUE(next->wait());
  expect_exact(*running, ask("!slow", 20));
  expect_exact(*next, ask("next"));
}

TEST(EnginePool, keeps_deadlines_while_loading) {
  auto options = quick();
  options.engine_arguments = {"--load-stall"};
  Pool pool(options);
  auto request = ask("x");
  request.deadline_ms = 50;
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", request, recorder);
  ASSERT_TRUE(recorder->wait());
  EXPECT_EQ(recorder->record().error.code, Errc::deadline_exceeded);
}

TEST(EnginePool, carries_large_output_whole) {
  Pool pool(quick());
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", ask("!huge", 100), recorder);
  ASSERT_TRUE(recorder->wait());
  EXPECT_EQ(recorder->record().choices.at(0).tokens.size(), 100U);
  EXPECT_GE(recorder->record().choices.at(0).text.size(), 10'000'000U);
}

TEST(EnginePool, never_waits_for_an_engine_that_does_not_read) {
  auto options = quick();
  options.drain = 10ms;
  Pool pool(options);
  ASSERT_TRUE(pool.ready("m"));
  const auto deaf = pool->generate("m", ask("!deaf"), std::make_shared<Recorder>());
  const auto large = std::string(1'000'000, 'a');
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Generation>> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(pool->generate("m", ask(large), std::make_shared<Recorder>()).value());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1500ms);
}

TEST(EnginePool, drains_at_shutdown) {
  const auto running = std::make_shared<Recorder>();
  const auto late = std::make_shared<Recorder>();
  std::unique_ptr<Generation> first;
  {
    Pool pool(quick());
    first = pool->generate("m", ask("!slow", 20), running).value();
    ASSERT_TRUE(running->wait_tokens(1));
  }
  EXPECT_TRUE(running->wait());
  expect_exact(*running, ask("!slow", 20));
  EXPECT_TRUE(children().empty());
}

TEST(EnginePool, fails_what_outlives_the_drain) {
  const auto running = std::make_shared<Recorder>();
  std::unique_ptr<Generation> generation;
  {
    auto options = quick();
    options.drain = 50ms;
    Pool pool(options);
    generation = pool->generate("m", ask("!slow", 100'000), running).value();
    ASSERT_TRUE(running->wait_tokens(1));
  }
  EXPECT_EQ(running->record().ends, 1);
  EXPECT_EQ(running->record().error.code, Errc::unavailable);
  generation->cancel();  // The handle may outlive the pool.
}

TEST(EnginePool, leaves_nothing_behind) {
  const auto round = [] {
    Pool pool(quick(), {record("a"), record("b")});
    for (const auto* name : {"a", "b"}) {
      const auto recorder = std::make_shared<Recorder>();
      const auto generation = pool->generate(name, ask("x"), recorder);
      ASSERT_TRUE(recorder->wait());
    }
  };
  round();
  const auto descriptors = entries("/proc/self/fd");
  const auto threads = entries("/proc/self/task");
  for (int i = 0; i < 5; ++i) round();
  EXPECT_EQ(entries("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries("/proc/self/task"), threads);
  EXPECT_TRUE(children().empty());
}

TEST(EnginePool, writes_its_series) {
  auto options = quick();
  options.metric_names = MetricNames::own_and_vllm;
  Pool pool(options);
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", ask("!slow", 10), recorder);
  ASSERT_TRUE(recorder->wait());
  const auto text = pool.metrics.text();
  for (const auto* name :
       {"holdfast_upstream_requests_total{deployment=\"m\",outcome=\"ok\"} 1",
        "holdfast_engine_restarts_total{model=\"m\"} 0",
        "holdfast_model_state{model=\"m\",state=\"ready\"} 1", "holdfast_engine_kv_usage_ratio",
        "gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name=\"text_completion\","
        "gen_ai_request_model=\"m\"} 1",
        "gen_ai_server_time_per_output_token_seconds_count",
        "gen_ai_server_request_duration_seconds_count",
        "vllm:num_requests_running{model_name=\"m\"}", "vllm:time_to_first_token_seconds_count"}) {
    EXPECT_TRUE(text.contains(name)) << name << "\n" << text;
  }
}

TEST(EnginePool, survives_random_cancels) {
  Pool pool(quick());
  std::mt19937 random(7);
  std::vector<std::pair<std::shared_ptr<Recorder>, std::unique_ptr<Generation>>> running;
  int ended = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto recorder = std::make_shared<Recorder>();
    auto generation = pool->generate("m", ask("p" + std::to_string(i), 200), recorder);
    ASSERT_TRUE(generation) << generation.error().message;
    running.emplace_back(recorder, std::move(*generation));
    while (running.size() > 30) {
      const auto at = random() % running.size();
      auto& [listener, handle] = running[at];
      if (random() % 2 == 0) {
        handle->cancel();
        ASSERT_TRUE(listener->wait());
        ASSERT_EQ(listener->record().broken, "");
        ++ended;
      }
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  EXPECT_GT(ended, 500);
  running.clear();
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", ask("after"), recorder);
  ASSERT_TRUE(recorder->wait());
  expect_exact(*recorder, ask("after"));
}

}  // namespace
}  // namespace hf::inference::test
