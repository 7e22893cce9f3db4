#pragma once
// The scheduler's inside, shared by scheduler_*.cpp only: requests, their sequences and one step's
// plan. Threads: engine thread.

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/choice_output.hpp"
#include "runtime/draft_index.hpp"
#include "runtime/fair_queue.hpp"
#include "runtime/scheduler.hpp"
#include "runtime/sequence_pool.hpp"

namespace hf::runtime {

struct ActiveRequest;

/// One choice of a request: the tokens that must be in the cache and how far they are.
struct Sequence : QueueItem {
  enum class Place : std::uint8_t { waiting, running, preempted, ended };

  Sequence(ActiveRequest& of, ChoiceOutput&& made) : request(of), output(std::move(made)) {}
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(history.size()); }
  [[nodiscard]] std::uint32_t missing() const { return size() - computed; }
  [[nodiscard]] bool decodes() const { return missing() == 1; }
  [[nodiscard]] bool awaits() const { return awaited_order != 0; }

  ActiveRequest& request;
  ChoiceOutput output;
  Place place = Place::waiting;
  std::vector<Token> history = {};   // Prompt and output; never empty.
  std::uint32_t computed = 0;        // Of history, in the cache; less than its size.
  std::uint32_t expected = 0;        // Size of history in the end, as guessed for admission.
  std::uint32_t paid = 0;            // Rows computed for it.
  SequenceId slot = 0;               // While running.
  std::uint64_t order = 0;           // Of admission.
  std::uint32_t boost = UINT32_MAX;  // Best class of those that wait for its prefix.
  SequenceId awaited = 0;            // Who computes its prefix already.
  std::uint64_t awaited_order = 0;   // 0: nobody; always less than its own order.
  std::uint32_t awaited_tokens = 0;
  SequencePool::Saved saved = {};  // While preempted.
  DraftIndex drafts = {};
  std::vector<Token> guess = {};  // Of the present step.
};

struct ActiveRequest {
  PreparedRequest prepared;
  SequencePool::Namespace key = {};
  std::vector<std::unique_ptr<Sequence>> choices = {};
  std::uint32_t open = 0;            // Choices without ChoiceDone.
  std::uint32_t tokens_resumed = 0;  // Of choices that were finished before.
  bool started = false;
  std::uint32_t cached_tokens = 0;
  TimePoint deadline = TimePoint::max();
  std::optional<TimePoint> admitted = {};
  std::optional<TimePoint> first_token = {};
};

/// Lengths of recent outputs, to guess those of new requests.
class OutputLengths {
 public:
  void add(std::uint32_t tokens);
  /// 90th percentile; a default while little is known.
  [[nodiscard]] std::uint32_t expected() const { return expected_; }

 private:
  std::vector<std::uint32_t> recent_ = {};
  std::size_t next_ = 0;
  std::uint32_t expected_ = 256;
};

struct Scheduler::State {
  State(Runner& runner, const TokenTexts& texts, const grammar::TokenTable& tokens,
        const SchedulerOptions& options, const Clock& clock, EmitEvent emit);

  // scheduler.cpp: requests in and out.
  [[nodiscard]] std::optional<Error> refusal(const PreparedRequest& prepared) const;
  void submit(PreparedRequest prepared);
  void add_choice(ActiveRequest& request, std::uint32_t choice);
  void end_request(ActiveRequest& request, wire::FinishReason reason);
  void end_overdue();
  Result<bool> step();

  // scheduler_admit.cpp: who runs.
  void admit();
  [[nodiscard]] Sequence* next_candidate() const;
  [[nodiscard]] bool fits(const Sequence& sequence) const;
  void start(Sequence& sequence);
  void attach_prefix(Sequence& sequence);
  void note_gained(Sequence& sequence, std::uint32_t there);
  void attach_awaiting();
  void preempt(Sequence& sequence);
  [[nodiscard]] Sequence* victim(std::uint32_t rank_above) const;

  // scheduler_plan.cpp: what the next step computes.
  struct Part {
    Sequence* sequence = nullptr;
    std::uint32_t rows = 0;
    std::uint32_t outputs = 0;
  };
  bool plan();
  [[nodiscard]] AdapterId choose_adapter();
  bool collect();
  void add_decoding(std::uint32_t rows_max);
  void add_prompts(std::uint32_t rows_max);
  void add_guesses(std::uint32_t rows_max);
  void add_part(Sequence& sequence, std::uint32_t rows, std::uint32_t outputs);
  [[nodiscard]] std::uint32_t prompt_budget() const;
  void relieve();

  // scheduler_output.cpp: what came out.
  Result<bool> compute();
  void absorb();
  void absorb_part(const Part& part, std::size_t first_output);
  std::uint32_t take_outputs(Sequence& sequence, std::size_t first_output, std::uint32_t outputs);
  void announce(ActiveRequest& request);
  /// Sends what the choice has to say; an ended one leaves. The sequence may be gone afterwards.
  void report(Sequence& sequence);
  void leave(Sequence& sequence);

  Runner& runner;
  const TokenTexts& texts;
  const grammar::TokenTable& tokens;
  SchedulerOptions options;
  const Clock& clock;
  EmitEvent emit;

  SequencePool pool;
  FairQueue queue;
  OutputLengths lengths;
  StepCosts costs = {};
  std::uint32_t request_tokens_max = 0;
  std::unordered_map<wire::RequestId, std::unique_ptr<ActiveRequest>> requests = {};
  std::vector<Sequence*> running = {};  // In order of admission.
  std::vector<Sequence*> preempted = {};
  TimePoint now{};
  TimePoint next_deadline = TimePoint::max();
  std::uint64_t orders = 0;

  std::vector<AdapterId> adapter_turns = {};  // Last served last.
  std::uint32_t turn = 0;                     // Rotates who decodes where not all can.
  std::uint32_t rows_limit = UINT32_MAX;      // Less after the runner found no cells.
  std::vector<Sequence*> decoding = {};       // Of the step's adapter.
  std::vector<Sequence*> prompts = {};
  std::uint32_t decoding_total = 0;  // Of all adapters.
  std::vector<Row> rows = {};
  std::vector<Part> parts = {};
  std::vector<Token> probe = {};

  bool guesses_may_pay = false;
  wire::Stats counts = {};
};

}  // namespace hf::runtime
