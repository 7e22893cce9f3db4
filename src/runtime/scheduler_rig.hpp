#pragma once
// For the tests: a scheduler over a ScriptedRunner with what it told, and the naive loop that the
// answers are compared with.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/scheduler.hpp"
#include "runtime/scripted_runner.hpp"

namespace hf::runtime {

struct TestChoice {
  std::vector<Token> tokens = {};
  std::string text = {};
  std::size_t deltas = 0;
  std::vector<wire::TokenLogprob> logprobs = {};
  std::optional<wire::ChoiceDone> done = {};
};

struct TestAnswer {
  std::optional<wire::Started> started = {};
  std::map<std::uint32_t, TestChoice> choices = {};
  std::optional<wire::Done> done = {};
  std::optional<wire::Failed> failed = {};
  [[nodiscard]] bool over() const { return done.has_value() || failed.has_value(); }
};

struct RigOptions {
  RunnerFacts facts = {
      .cells_total = 4096, .sequences_max = 64, .rows_max = 512, .outputs_max = 64};
  SchedulerOptions scheduler = {};
  LogitScript script = random_letters(40);
};

PreparedRequest make_request(wire::RequestId id, std::string_view prompt,
                             std::uint32_t max_tokens = 0);
/// `count` letters that depend on the seed.
std::string letters(std::size_t count, unsigned seed);
/// The request's choice computed alone, one token after the other.
TestChoice reference(const PreparedRequest& request, std::uint32_t choice,
                     const LogitScript& script, std::uint32_t context);

class Rig {
 public:
  explicit Rig(RigOptions given = {});

  void submit(PreparedRequest request) { scheduler->submit(std::move(request)); }
  /// One step; false if there was nothing to do.
  bool step();
  /// Steps until nothing is left; fails the test after `steps_max`.
  void run(std::size_t steps_max = 20'000);
  [[nodiscard]] wire::Stats stats() const;
  /// Checks answers against the reference and the order of events.
  void expect_reference(const PreparedRequest& request);
  /// The engine dies and a new one starts; unfinished requests of `asked` go on there.
  void crash(const std::vector<PreparedRequest>& asked);
  /// Nothing is left but cached prefixes; without these no cell and no sequence.
  void expect_clean();

  RigOptions options;
  ManualClock clock;
  ByteTokenizer tokenizer;
  TokenTexts texts;
  grammar::TokenTable table;
  std::unique_ptr<ScriptedRunner> runner;
  std::unique_ptr<Scheduler> scheduler;
  std::map<wire::RequestId, TestAnswer> answers;
  /// Events after these are lost, as in a crash.
  std::size_t events_left = SIZE_MAX;

 private:
  void start();
  void hear(const wire::ToServer& event);
  void hear_delta(const wire::Delta& delta);
};

}  // namespace hf::runtime
