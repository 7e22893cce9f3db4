#pragma once
// Continuous batching: decides each step which tokens of which requests are computed.
// Invariant that explains the whole: there are no phases. Every sequence has tokens it must have
// in the cache; each step computes some of the missing ones within a token budget.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "grammar/grammar.hpp"
#include "runtime/prepared_request.hpp"
#include "runtime/runner.hpp"
#include "runtime/step_costs.hpp"
#include "runtime/token_texts.hpp"
#include "wire/messages.hpp"

namespace hf::runtime {

struct SchedulerOptions {
  std::uint32_t requests_max = 512;         ///< Running and waiting; more are refused (429).
  std::uint32_t choices_max = 128;          ///< Of one request.
  std::uint32_t running_max = 64;           ///< Sequences computed at once.
  std::uint32_t cached_sequences_max = 64;  ///< Finished prefixes kept for reuse.
  std::uint64_t cached_bytes_max = std::uint64_t{512} << 20U;  ///< Of those in host memory.
  std::uint32_t step_tokens = 0;  ///< Rows of a step while others decode; 0: from the cost curve.
  std::uint32_t prefill_tokens = 512;    ///< Prompt rows of a step while nobody decodes.
  std::uint32_t request_tokens_max = 0;  ///< Prompt plus output; 0: as the model was trained.
  double step_ms_target = 0;  ///< Longest step while others decode; 0: from the cost curve.
  std::uint64_t swap_bytes_max = std::uint64_t{4} << 30U;
  Duration ageing = std::chrono::seconds(10);  ///< Waiting that raises a request by one class.
  bool share_prefixes = true;
  bool speculate = true;
  std::uint32_t draft_tokens_max = 8;     ///< Guessed tokens verified in one step.
  std::uint32_t draft_sequences_max = 4;  ///< With more sequences decoding nothing is guessed.
};

/// Receives events in order; must not block for long. Called on the engine thread.
using EmitEvent = std::function<void(wire::ToServer)>;

/// Threads: engine thread only, all methods.
class Scheduler {
 public:
  /// All references must outlive the scheduler; `tokens` must be of `texts`.
  Scheduler(Runner& runner, const TokenTexts& texts, const grammar::TokenTable& tokens,
            const SchedulerOptions& options, const Clock& clock, EmitEvent emit);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Takes the request or emits Failed for it (too long: invalid_argument with both numbers; too
  /// many: resource_exhausted).
  void submit(PreparedRequest request);
  /// Drops the request before the next step, emits ChoiceDone (cancelled) for open choices and
  /// Done. Unknown ids are ignored.
  void cancel(wire::RequestId id);
  /// Computes one step. False if there was nothing to do.
  /// Errors: internal, from the runner; the engine must end.
  Result<bool> step();
  [[nodiscard]] bool idle() const;
  /// Cost curve from the warm-up; sets the budget where options leave it open.
  void set_costs(std::vector<CostPoint> costs);
  /// Fails everything that runs or waits, for shutdown.
  void fail_all(const Error& error);
  /// Drops cached prefixes of an adapter (0xFFFFFFFF: all).
  void forget_cached(AdapterId adapter);
  /// True while a request that runs or waits uses the adapter.
  [[nodiscard]] bool uses(AdapterId adapter) const;
  void fill(wire::Stats& stats) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hf::runtime
