#pragma once
// One request in flight to a model, of any kind. Used by EnginePool and ModelSlot.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "inference/generation_progress.hpp"
#include "inference/inference.hpp"

namespace hf::inference {

/// What still has to be told, gathered under a lock and run without one.
using Deliveries = std::vector<std::move_only_function<void()>>;

enum class CancelKind : std::uint8_t {
  wanted,     ///< The caller waits for on_done.
  abandoned,  ///< The caller left: no more listener calls at all.
};

/// Everything but the two flags and `listener` is guarded by the slot's lock.
struct Call {
  wire::RequestId id = 0;
  wire::ToEngine message = {};  ///< What is not a generation.
  std::optional<GenerationProgress> progress = {};
  std::shared_ptr<GenerationListener> listener = {};
  std::move_only_function<void(Result<wire::ToServer>)> reply = {};
  std::string adapter = {};       ///< Must be loaded first; empty: none.
  std::string adapter_path = {};  ///< Where it is, if it has to be loaded.
  TimePoint arrived = {};
  TimePoint first_token = {};
  Deadline deadline = {};
  bool submitted = false;     ///< The engine process of now has it.
  bool on_adapter = false;    ///< Waits for its adapter, which the engine of now is loading.
  std::uint32_t crashes = 0;  ///< It was in flight in so many crashes in a row.
  bool cleared = false;       ///< A suspect that has shown a token since the last restart.
  TimePoint last_crash = {};
  std::atomic<bool> cancelled = false;
  std::atomic<bool> muted = false;

  /// It may be what stops the engine of now.
  [[nodiscard]] bool inside() const { return submitted || on_adapter; }
  [[nodiscard]] bool listening() const {
    return !cancelled.load(std::memory_order_acquire) && !muted.load(std::memory_order_acquire);
  }
};

/// The last word to the caller of a call that left its slot's list; cancelled calls get on_done.
void tell_failed(Call& call, const Error& error);
void tell_done(Call& call, const wire::Done& event);

inline void run(Deliveries& deliveries) {
  for (auto& delivery : deliveries) delivery();
  deliveries.clear();
}

}  // namespace hf::inference
