#pragma once
// The server's own use of the machine as metrics. Threads: any, one at a time is enough.

#include "base/metrics.hpp"
#include "base/mutex.hpp"

namespace hf::daemon {

class ProcessMetrics {
 public:
  /// `metrics` outlives it.
  explicit ProcessMetrics(Metrics& metrics);
  /// Reads /proc. Cost: some 50 us.
  void refresh();

 private:
  Gauge& resident_;
  Gauge& open_files_;
  Gauge& open_files_max_;
  Counter& cpu_;
  Mutex mutex_;
  double cpu_seconds_ HF_GUARDED_BY(mutex_) = 0;
};

}  // namespace hf::daemon
