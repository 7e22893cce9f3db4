// What callers see when engines die: a pause, or a clear error, never a wrong stream.

#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>

#include "fake_engine/pool_fixture.hpp"

namespace hf::inference::test {
namespace {

EnginePoolOptions patient() {
  auto options = quick();
  options.crash_limit = 1'000'000;
  options.poison_crashes = 1'000'000;
  options.crash_window = 0ms;  // Every crash is a first one: no backoff.
  return options;
}

void signal_engines(int number) {
  for (const auto pid : children()) ::kill(pid, number);
}

/// Streams under a rain of kills; every one must be exact.
TEST(EngineCrash, two_hundred_kills_under_load_change_no_stream) {
  auto options = patient();
  options.engine_arguments = {"--delay-us", "300"};
  const auto descriptors = entries("/proc/self/fd");
  const auto threads = entries("/proc/self/task");
  {
    Pool pool(options);
    std::atomic<bool> stop = false;
    std::atomic<int> streams = 0;
    std::vector<std::jthread> callers;
    for (int t = 0; t < 6; ++t) {
      callers.emplace_back([&, t] {
        for (int i = 0; !stop; ++i) {
          const auto prompt = std::to_string(t) + "/" + std::to_string(i);
          const auto request = ask(prompt, 20 + static_cast<std::uint32_t>(i % 200),
                                   1 + static_cast<std::uint32_t>(t % 3));
          const auto recorder = std::make_shared<Recorder>();
          const auto generation = pool->generate("m", request, recorder);
          ASSERT_TRUE(generation) << generation.error().message;
          ASSERT_TRUE(recorder->wait());
          expect_exact(*recorder, request);
          ++streams;
        }
      });
    }
    std::mt19937 random(11);
    for (int kills = 0; kills < 200;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 30));
      const auto engines = children();
      if (engines.empty()) continue;
      if (pool->model("m")->state != ModelState::ready && random() % 8 != 0) continue;
      kills += ::kill(engines.front(), SIGKILL) == 0 ? 1 : 0;
    }
    stop = true;
    callers.clear();
    EXPECT_GT(streams, 100);
    EXPECT_GT(pool->model("m")->restarts, 50U);
  }
  EXPECT_EQ(entries("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries("/proc/self/task"), threads);
  EXPECT_TRUE(children().empty());
}

TEST(EngineCrash, an_engine_that_kills_itself_often_still_serves) {
  auto options = patient();
  options.engine_arguments = {"--kill-after", "40"};
  Pool pool(options);
  const auto request = ask("long", 500, 2);
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", request, recorder);
  ASSERT_TRUE(recorder->wait());
  expect_exact(*recorder, request);
  EXPECT_GE(pool->model("m")->restarts, 10U);
}

TEST(EngineCrash, questions_in_flight_are_asked_again) {
  Pool pool(quick());
  ASSERT_TRUE(pool.ready("m"));
  std::promise<Result<wire::Embeddings>> promise;
  wire::Embed request;
  request.texts.assign(20, "!slow");
  pool->embed("m", request, [&](Result<wire::Embeddings> answer) { promise.set_value(answer); });
  std::this_thread::sleep_for(100ms);
  signal_engines(SIGKILL);
  EXPECT_EQ(promise.get_future().get()->values.size(), 20U);
  EXPECT_EQ(pool->model("m")->restarts, 1U);
}

TEST(EngineCrash, adapters_come_back_with_the_engine) {
  Pool pool(quick(), {record("m"), record("law", "adapter", "m", "/law.gguf")});
  const auto request = ask("!slow", 30);
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m:law", request, recorder);
  ASSERT_TRUE(recorder->wait_tokens(5));
  signal_engines(SIGKILL);
  ASSERT_TRUE(recorder->wait());
  expect_exact(*recorder, request, "law");
}

TEST(EngineCrash, a_cancelled_request_is_not_sent_again) {
  Pool pool(quick());
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", ask("!slow", 100'000), recorder).value();
  ASSERT_TRUE(recorder->wait_tokens(2));
  signal_engines(SIGSTOP);
  generation->cancel();
  signal_engines(SIGKILL);
  ASSERT_TRUE(recorder->wait());
  EXPECT_EQ(recorder->record().error.message, "");
  ASSERT_TRUE(pool.reaches("m", ModelState::unloaded));
}

TEST(EngineCrash, a_crash_loop_marks_the_model_failed_until_it_is_tried_again) {
  const MarkFile mark;
  mark.create();
  auto options = quick();
  options.retry_failed_after = 500ms;
  options.engine_arguments = {"--load-abort-while", mark.path()};
  Pool pool(options);
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", ask("x"), recorder);
  ASSERT_TRUE(recorder->wait());
  EXPECT_EQ(recorder->record().error.code, Errc::unavailable);
  const auto status = pool->model("m");
  EXPECT_EQ(status->state, ModelState::failed);
  EXPECT_TRUE(status->reason.contains("signal 6")) << status->reason;
  const auto refused = pool->generate("m", ask("x"), recorder);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_EQ(refused.error().message, status->reason);
  EXPECT_EQ(pool.ready("m").error().code, Errc::unavailable);

  mark.remove();
  std::this_thread::sleep_for(550ms);
  EXPECT_TRUE(pool.ready("m"));
}

TEST(EngineCrash, unload_forgives_a_failed_model) {
  const MarkFile mark;
  mark.create();
  auto options = quick();
  options.engine_arguments = {"--load-abort-while", mark.path()};
  Pool pool(options);
  EXPECT_FALSE(pool.ready("m"));
  mark.remove();
  EXPECT_FALSE(pool.ready("m"));
  ASSERT_TRUE(pool->unload("m"));
  EXPECT_TRUE(pool.ready("m"));
}

TEST(EngineCrash, a_refused_load_is_told_with_the_engines_reason_at_once) {
  auto options = quick();
  options.engine_arguments = {"--load-fail", "The file is cut short."};
  Pool pool(options);
  const auto status = pool.ready("m");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::unavailable);
  EXPECT_TRUE(status.error().message.contains("The file is cut short. It is tried")) << status.error().message;
  EXPECT_EQ(pool->model("m")->restarts, 0U);
}

TEST(EngineCrash, leaving_during_the_load_counts_as_a_crash) {
  auto options = quick();
  options.engine_arguments = {"--load-exit", "7"};
  Pool pool(options);
  const auto status = pool.ready("m");
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().message.contains("exit status 7")) << status.error().message;
  EXPECT_EQ(pool->model("m")->restarts, 2U);
}

TEST(EngineCrash, a_load_without_progress_is_given_up) {
  auto options = quick();
  options.engine_arguments = {"--load-stall"};
  options.load_timeout = 50ms;
  Pool pool(options);
  const auto status = pool.ready("m");
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().message.contains("no progress")) << status.error().message;
}

/// The request that always stops the engine fails alone; its neighbours lose nothing.
TEST(EngineCrash, a_poison_request_fails_and_its_neighbours_do_not) {
  for (const auto* poison : {"!abort", "!kill", "!exit", "!badframe", "!late", "!hang"}) {
    auto options = quick();
    options.hang_timeout = 300ms;
    Pool pool(options);
    std::vector<std::pair<wire::Generate, std::shared_ptr<Recorder>>> good;
    std::vector<std::unique_ptr<Generation>> handles;
    for (int i = 0; i < 4; ++i) {
      good.emplace_back(ask("!slow" + std::to_string(i), 30), std::make_shared<Recorder>());
      handles.push_back(pool->generate("m", good.back().first, good.back().second).value());
    }
    ASSERT_TRUE(good.back().second->wait_tokens(1));
    const auto bad = std::make_shared<Recorder>();
    handles.push_back(pool->generate("m", ask(poison, 1000), bad).value());
    ASSERT_TRUE(bad->wait()) << poison;
    EXPECT_EQ(bad->record().error.code, Errc::internal) << poison;
    EXPECT_TRUE(bad->record().error.message.contains("stopped the engine")) << poison;
    for (auto& [request, recorder] : good) {
      ASSERT_TRUE(recorder->wait()) << poison;
      expect_exact(*recorder, request);
    }
    EXPECT_EQ(pool->model("m")->state, ModelState::ready) << poison;
  }
}

TEST(EngineCrash, a_model_that_every_request_stops_is_marked_failed) {
  auto options = quick();
  options.engine_arguments = {"--abort-always"};
  Pool pool(options);
  const auto first = std::make_shared<Recorder>();
  const auto second = std::make_shared<Recorder>();
  const auto one = pool->generate("m", ask("a"), first);
  ASSERT_TRUE(first->wait());
  EXPECT_EQ(first->record().error.code, Errc::internal);
  const auto two = pool->generate("m", ask("b"), second);
  ASSERT_TRUE(second->wait());
  EXPECT_EQ(pool->model("m")->state, ModelState::failed);
  EXPECT_EQ(pool->generate("m", ask("c"), first).error().code, Errc::unavailable);
}

TEST(EngineCrash, a_stopped_engine_is_replaced_and_its_requests_go_on) {
  auto options = quick();
  options.hang_timeout = 200ms;
  Pool pool(options);
  const auto request = ask("!slow", 40);
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", request, recorder);
  ASSERT_TRUE(recorder->wait_tokens(3));
  signal_engines(SIGSTOP);
  ASSERT_TRUE(recorder->wait());
  expect_exact(*recorder, request);
  EXPECT_EQ(pool->model("m")->restarts, 1U);
}

TEST(EngineCrash, an_engine_that_reads_no_more_is_replaced) {
  auto options = quick();
  options.hang_timeout = 300ms;
  Pool pool(options);
  const auto request = ask("!slow", 60);
  const auto recorder = std::make_shared<Recorder>();
  const auto generation = pool->generate("m", request, recorder);
  ASSERT_TRUE(recorder->wait_tokens(1));
  const auto deaf = std::make_shared<Recorder>();
  const auto other = pool->generate("m", ask("!deaf"), deaf);
  ASSERT_TRUE(recorder->wait());
  expect_exact(*recorder, request);
  ASSERT_TRUE(deaf->wait());
  expect_exact(*deaf, ask("!deaf"));
  EXPECT_EQ(pool->model("m")->restarts, 1U);
}

TEST(EngineCrash, cancels_and_kills_at_once_leave_no_request_behind) {
  Pool pool(patient());
  std::mt19937 random(3);
  std::vector<std::pair<std::shared_ptr<Recorder>, std::unique_ptr<Generation>>> running;
  for (int i = 0; i < 1000; ++i) {
    const auto recorder = std::make_shared<Recorder>();
    auto handle = pool->generate("m", ask(std::to_string(i), 300), recorder);
    running.emplace_back(recorder, std::move(handle).value());
    if (random() % 25 == 0) signal_engines(SIGKILL);
    if (running.size() < 20) continue;
    const auto at = random() % running.size();
    running[at].second->cancel();
    ASSERT_TRUE(running[at].first->wait());
    EXPECT_EQ(running[at].first->record().broken, "");
    EXPECT_EQ(running[at].first->record().error.message, "");
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
  }
  for (auto& [recorder, generation] : running) {
    ASSERT_TRUE(recorder->wait());
    EXPECT_EQ(recorder->record().error.message, "");
  }
}

}  // namespace
}  // namespace hf::inference::test
