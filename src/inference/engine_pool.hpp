#pragma once
// The server side of engines: one child process per loaded model, started on demand, watched,
// restarted after a crash with its requests resumed, unloaded when idle. Used by apps and api.

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/metrics.hpp"
#include "base/mutex.hpp"
#include "inference/engine_pool_options.hpp"
#include "inference/inference.hpp"
#include "inference/model_source.hpp"

namespace hf::inference {

class ModelSlot;
class Wakeup;
struct Call;
struct EngineCommand;

/// Threads: any, as Inference. Own threads: "supervisor" (spawn, reap, timers, memory) and one
/// "reader" per engine, which makes the listener calls.
/// The destructor drains: it blocks up to options.drain and a few seconds, then kills.
class EnginePool final : public Inference {
 public:
  /// `metrics` must outlive the pool.
  /// Errors: failed_precondition, no engine program; internal, no thread or descriptor left.
  static Result<std::unique_ptr<Inference>> open(EnginePoolOptions options,
                                                 registry::ModelStore store, Metrics& metrics);
  static Result<std::unique_ptr<Inference>> open(EnginePoolOptions options,
                                                 std::shared_ptr<const ModelSource> source,
                                                 Metrics& metrics);
  ~EnginePool() override;
  EnginePool(const EnginePool&) = delete;
  EnginePool& operator=(const EnginePool&) = delete;

  [[nodiscard]] std::vector<ModelStatus> models() const override;
  [[nodiscard]] Result<ModelStatus> model(std::string_view name) const override;
  void when_ready(std::string_view name, Reply<ModelStatus> reply) override;
  Result<std::unique_ptr<Generation>> generate(
      std::string_view model, wire::Generate request,
      std::shared_ptr<GenerationListener> listener) override;
  void embed(std::string_view model, wire::Embed request, Reply<wire::Embeddings> reply) override;
  void rerank(std::string_view model, wire::Rerank request, Reply<wire::Scores> reply) override;
  void tokenize(std::string_view model, wire::Tokenize request, Reply<wire::Tokens> reply) override;
  void detokenize(std::string_view model, wire::Detokenize request,
                  Reply<wire::Tokens> reply) override;
  void load_adapter(std::string_view model, wire::LoadAdapter request,
                    Reply<wire::Ack> reply) override;
  void unload_adapter(std::string_view model, wire::UnloadAdapter request,
                      Reply<wire::Ack> reply) override;
  /// A failed model is forgiven: the next request tries to load it again.
  Result<void> unload(std::string_view model) override;

 private:
  struct Target {
    std::shared_ptr<ModelSlot> slot;
    std::string adapter;
    std::string adapter_path;  ///< Empty: one loaded through load_adapter.
  };

  enum class Fit : std::uint8_t { now, soon, never };
  /// What the other models hold.
  struct Room {
    std::uint64_t used_bytes = 0;
    std::uint64_t leaving_bytes = 0;
    std::uint32_t loaded = 0;
    std::uint32_t leaving = 0;
    std::vector<std::pair<TimePoint, ModelSlot*>> idle;  // Longest idle first.
  };

  EnginePool(EnginePoolOptions options, std::shared_ptr<const ModelSource> source, Metrics& metrics,
             std::shared_ptr<Wakeup> wakeup);
  [[nodiscard]] Result<Target> find(std::string_view name) const;
  [[nodiscard]] std::shared_ptr<ModelSlot> slot_of(const std::string& name) const;
  [[nodiscard]] std::vector<std::shared_ptr<ModelSlot>> slots() const;
  template <class Message, class Answer>
  void ask(std::string_view model, Message request, Reply<Answer> reply);
  Result<std::shared_ptr<Call>> place(const Target& target, std::shared_ptr<Call> call);
  void supervise();
  void load_wanted(const std::vector<std::shared_ptr<ModelSlot>>& all);
  void admit(ModelSlot& slot, const std::vector<std::shared_ptr<ModelSlot>>& all);
  [[nodiscard]] Room room_beside(const ModelSlot& slot,
                                 const std::vector<std::shared_ptr<ModelSlot>>& all) const;
  Fit make_room(const ModelSlot& slot, std::uint64_t need_bytes, const Room& room) const;
  [[nodiscard]] EngineCommand command_for(const registry::ModelRecord& record) const;

  const std::shared_ptr<const EnginePoolOptions> options_;
  const std::shared_ptr<const ModelSource> source_;
  const std::shared_ptr<Wakeup> wakeup_;
  Metrics& metrics_;
  std::uint64_t budget_bytes_ = 0;
  std::atomic<wire::RequestId> last_id_ = 0;
  std::atomic<bool> closing_ = false;
  mutable Mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<ModelSlot>> slots_ HF_GUARDED_BY(mutex_);
  std::thread supervisor_;
};

}  // namespace hf::inference
