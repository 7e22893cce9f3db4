#pragma once
// How engines are started, watched and given up. Read by the pool and its slots.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "registry/model_store.hpp"

namespace hf::inference {

enum class MetricNames : std::uint8_t { own, own_and_vllm };

struct EnginePoolOptions {
  std::string engine_program = {};                 ///< Empty: holdfast-engine beside this program.
  std::vector<std::string> engine_arguments = {};  ///< For every model.
  std::map<std::string, std::vector<std::string>> model_arguments = {};  ///< By model name.
  std::uint64_t memory_budget_bytes = 0;  ///< For all loaded models; 0: 75 % of what is available.
  std::uint32_t cells = 0;                ///< KV cells of each engine; 0: it chooses.
  /// Bytes a model will take; empty: from its header and `cells`.
  std::function<std::uint64_t(const registry::ModelRecord&)> estimate = {};
  std::uint32_t models_max = 0;           ///< Loaded at once; 0: no limit.
  std::vector<std::string> preload = {};  ///< Loaded at start.
  std::vector<std::string> pinned = {};   ///< Loaded at start and never unloaded on their own.
  std::uint32_t requests_max = 512;       ///< In flight per model, with waiting ones.
  Duration idle_unload = std::chrono::minutes(15);   ///< 0: never.
  Duration load_timeout = std::chrono::minutes(10);  ///< Since the last sign of progress.
  Duration hang_timeout = std::chrono::seconds(60);  ///< An unanswered Ping; 0: never.
  /// Requests run, yet the engine's counters stand still although it answers; 0: never.
  Duration stall_timeout = std::chrono::minutes(10);
  std::uint32_t crash_limit = 3;  ///< Within crash_window: marked failed.
  Duration crash_window = std::chrono::seconds(60);
  /// A request in flight in that many crashes in crash_window (at least 2) is failed, if it is the
  /// only suspect; of several, each is let in alone then.
  std::uint32_t poison_crashes = 3;
  Duration restart_backoff = std::chrono::milliseconds(200);  ///< Second crash; doubles, to 10 s.
  Duration retry_failed_after = std::chrono::minutes(5);
  Duration drain = std::chrono::seconds(30);       ///< Running requests may go on at shutdown.
  Duration tick = std::chrono::milliseconds(250);  ///< Resolution of all the times above.
  MetricNames metric_names = MetricNames::own;
};

}  // namespace hf::inference
