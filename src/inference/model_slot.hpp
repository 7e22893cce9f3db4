#pragma once
// One model: its engine process, its requests in flight and what happens to both over time. Used by
// EnginePool. States: idle -> starting -> serving -> (stopping) -> dying -> idle, backoff or
// failed. A restart resubmits every request, so listeners see a pause and nothing else.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>

#include "base/mutex.hpp"
#include "inference/call.hpp"
#include "inference/engine_link.hpp"
#include "inference/engine_pool_options.hpp"
#include "inference/engine_process.hpp"
#include "inference/model_metrics.hpp"
#include "inference/wakeup.hpp"

namespace hf::inference {

enum class Keep : std::uint8_t { while_used, always };

/// Listener calls come from the slot's reader thread, or from the supervisor while there is none.
class ModelSlot {
 public:
  ModelSlot(std::string name, Keep keep, std::shared_ptr<const EnginePoolOptions> options,
            std::shared_ptr<Wakeup> wakeup, Metrics& metrics);

  // Threads: any; none of these blocks.
  /// Errors: unavailable, failed or closing; resource_exhausted, too many in flight.
  Result<void> submit(std::shared_ptr<Call> call);
  void cancel(Call& call, CancelKind kind);
  void when_ready(Reply<ModelStatus> reply);
  void want_load();
  /// Stops the engine after its running requests; a failed model is forgiven.
  void request_unload();
  /// What the engine knows; the registry's fields are empty.
  [[nodiscard]] ModelStatus status() const;
  /// Loading, loaded, or with requests: the registry need not be asked again.
  [[nodiscard]] bool active() const;
  [[nodiscard]] bool knows_adapter(const std::string& adapter) const;
  [[nodiscard]] const std::string& name() const { return name_; }

  // Threads: the supervisor.
  [[nodiscard]] bool wants_load(TimePoint now) const;
  /// A crashed engine's memory is still counted for it: no new admission.
  [[nodiscard]] bool holds_memory() const { return charge_bytes() > 0; }
  [[nodiscard]] std::uint64_t charge_bytes() const;
  [[nodiscard]] bool leaving() const;
  /// When its last request ended; nothing if it may not be evicted now.
  [[nodiscard]] std::optional<TimePoint> idle_since() const;
  /// False if a request has come in between.
  bool evict(TimePoint now);
  void start(const EngineCommand& command, std::uint64_t charge_bytes, TimePoint now);
  /// The load cannot be tried: everyone who waits for it gets the error.
  void refuse(const Error& error);
  void add_descriptors(std::vector<pollfd>& fds) const;
  void advance(TimePoint now);
  void begin_close(TimePoint now);
  [[nodiscard]] bool closed() const;

 private:
  enum class Phase : std::uint8_t {
    idle,
    starting,
    serving,
    stopping,
    dying,
    backoff,
    failed,
    closed
  };
  enum class AdapterState : std::uint8_t { absent, loading, loaded };
  struct Adapter {
    std::string path;
    float scale = 1;
    AdapterState state = AdapterState::absent;
    wire::RequestId load_id = 0;
  };
  using Calls = std::map<wire::RequestId, std::shared_ptr<Call>>;

  // model_slot.cpp
  [[nodiscard]] ModelStatus status_locked() const HF_REQUIRES(mutex_);
  void send_call(Call& call) HF_REQUIRES(mutex_);
  void send_held_calls() HF_REQUIRES(mutex_);
  [[nodiscard]] bool adapter_loaded(Call& call) HF_REQUIRES(mutex_);
  [[nodiscard]] bool is_suspect(const Call& call) const;
  [[nodiscard]] bool needs_solitude(const Call& call) const;
  bool may_enter(const Call& call) HF_REQUIRES(mutex_);
  [[nodiscard]] std::size_t submitted_count() const HF_REQUIRES(mutex_);
  std::shared_ptr<Call> take(wire::RequestId id, Outcome outcome, const wire::Done& usage)
      HF_REQUIRES(mutex_);
  void fail_all(const Error& error, Deliveries& out) HF_REQUIRES(mutex_);
  void enter(Phase phase) HF_REQUIRES(mutex_);

  // slot_events.cpp: the reader thread.
  void read(EngineLink& link);
  void handle(wire::LoadProgress&& event);
  void handle(wire::Ready&& event);
  void handle(wire::LoadFailed&& event);
  void handle(wire::Started&& event);
  void handle(wire::Delta&& event);
  void handle(wire::ChoiceDone&& event);
  void handle(wire::Done&& event);
  void handle(wire::Failed&& event);
  void handle(wire::Ack&& event);
  void handle(wire::Stats&& event);
  template <class Answer>
  void handle(Answer&& event);
  void acknowledge(const Call& call) HF_REQUIRES(mutex_);
  bool adapter_answered(wire::RequestId id, const Error* error, Deliveries& out)
      HF_REQUIRES(mutex_);
  void passed_trial(Call& call) HF_REQUIRES(mutex_);

  // slot_recovery.cpp: the supervisor.
  void check_end(TimePoint now) HF_REQUIRES(mutex_);
  void check_times(TimePoint now) HF_REQUIRES(mutex_);
  void check_health(TimePoint now) HF_REQUIRES(mutex_);
  void expire_calls(TimePoint now, Deliveries& out) HF_REQUIRES(mutex_);
  void stop(TimePoint now, Duration drain) HF_REQUIRES(mutex_);
  void kill(std::string reason) HF_REQUIRES(mutex_);
  void bury(TimePoint now, Deliveries& out) HF_REQUIRES(mutex_);
  void settle_calls(Deliveries& out) HF_REQUIRES(mutex_);
  void crashed(TimePoint now, const std::vector<wire::RequestId>& accused, Deliveries& out)
      HF_REQUIRES(mutex_);
  std::vector<wire::RequestId> accuse(TimePoint now) HF_REQUIRES(mutex_);
  bool condemn(wire::RequestId id, Deliveries& out) HF_REQUIRES(mutex_);
  void mark_failed(std::string reason, TimePoint now, Deliveries& out) HF_REQUIRES(mutex_);
  void log_ending() const HF_REQUIRES(mutex_);

  const std::string name_;
  const Keep keep_;
  const std::shared_ptr<const EnginePoolOptions> options_;
  const std::shared_ptr<Wakeup> wakeup_;

  // The supervisor's own.
  std::unique_ptr<EngineProcess> process_;
  std::thread reader_;

  mutable Mutex mutex_;
  ModelMetrics metrics_ HF_GUARDED_BY(mutex_);
  Phase phase_ HF_GUARDED_BY(mutex_) = Phase::idle;
  std::shared_ptr<EngineLink> link_ HF_GUARDED_BY(mutex_);  // Shared with the reader.
  Calls calls_ HF_GUARDED_BY(mutex_);
  std::vector<Reply<ModelStatus>> waiters_ HF_GUARDED_BY(mutex_);
  Deliveries for_supervisor_ HF_GUARDED_BY(mutex_);
  std::map<std::string, Adapter> adapters_ HF_GUARDED_BY(mutex_);
  wire::Ready ready_ HF_GUARDED_BY(mutex_) = {};
  wire::Stats stats_ HF_GUARDED_BY(mutex_) = {};
  float load_fraction_ HF_GUARDED_BY(mutex_) = 0;
  std::string reason_ HF_GUARDED_BY(mutex_);  // Why it failed.
  std::string kill_reason_ HF_GUARDED_BY(mutex_);
  std::optional<Error> load_failed_ HF_GUARDED_BY(mutex_);
  std::optional<Error> reader_error_ HF_GUARDED_BY(mutex_);  // Set: the reader has ended.
  bool exited_ HF_GUARDED_BY(mutex_) = false;
  bool load_wanted_ HF_GUARDED_BY(mutex_) = false;
  bool unload_wanted_ HF_GUARDED_BY(mutex_) = false;
  bool intended_ HF_GUARDED_BY(mutex_) = false;  // The engine was told to end.
  bool closing_ HF_GUARDED_BY(mutex_) = false;
  bool restarting_ HF_GUARDED_BY(mutex_) = false;  // This engine follows a crashed one.
  std::uint64_t charge_bytes_ HF_GUARDED_BY(mutex_) = 0;
  std::uint32_t restarts_ HF_GUARDED_BY(mutex_) = 0;
  std::deque<TimePoint> crashes_ HF_GUARDED_BY(mutex_);
  std::uint32_t convictions_ HF_GUARDED_BY(mutex_) = 0;  // Since a request last went well.
  wire::RequestId trial_ HF_GUARDED_BY(mutex_) = 0;      // The suspect now in the engine.
  wire::RequestId last_own_id_ HF_GUARDED_BY(mutex_) = wire::RequestId{1} << 63U;
  wire::RequestId ping_ HF_GUARDED_BY(mutex_) = 0;  // Unanswered.
  TimePoint ping_sent_ HF_GUARDED_BY(mutex_) = {};
  TimePoint load_moved_ HF_GUARDED_BY(mutex_) = {};
  TimePoint work_moved_ HF_GUARDED_BY(mutex_) = {};
  TimePoint last_used_ HF_GUARDED_BY(mutex_) = {};
  TimePoint end_by_ HF_GUARDED_BY(mutex_) = TimePoint::max();
  TimePoint restart_at_ HF_GUARDED_BY(mutex_) = {};
  TimePoint retry_at_ HF_GUARDED_BY(mutex_) = {};
};

}  // namespace hf::inference
