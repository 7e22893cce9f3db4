#pragma once
// One model's series: engine gauges and counters from Stats, latencies of requests. Used by
// ModelSlot.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "inference/engine_pool_options.hpp"
#include "inference/inference.hpp"
#include "wire/messages.hpp"

namespace hf::inference {

enum class Outcome : std::uint8_t { ok, error, cancelled };

struct RequestTimes {
  TimePoint arrived = {};
  TimePoint first_token = {};  ///< Zero: none came.
  TimePoint ended = {};
};

/// Threads: one at a time (the slot's lock).
class ModelMetrics {
 public:
  ModelMetrics(Metrics& metrics, const std::string& model, MetricNames names);
  ~ModelMetrics();
  ModelMetrics(const ModelMetrics&) = delete;
  ModelMetrics& operator=(const ModelMetrics&) = delete;

  void restarted();
  void loaded(double seconds);
  void state(ModelState state);
  /// Counters of Stats run from an engine's start: call it when a new one is up.
  void engine_started() { last_ = {}; }
  void stats(const wire::Stats& stats);
  void answered(std::string_view operation, Outcome outcome, const RequestTimes& times);
  void generated(std::string_view operation, Outcome outcome, const RequestTimes& times,
                 const wire::Done& usage);

 private:
  struct Series;
  Metrics& metrics_;
  const std::string model_;
  const std::unique_ptr<Series> series_;
  wire::Stats last_ = {};
};

}  // namespace hf::inference
