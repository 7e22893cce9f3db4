#pragma once
// Counters, gauges and histograms in Prometheus text form (exposition format 0.0.4). Any thread:
// updates are atomic adds, series are created once and live as long as the registry.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.hpp"

namespace hf {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void add(double by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  /// `bounds`: upper bounds, rising, without +Inf.
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);
  void write(std::string& out, std::string_view name, const Labels& labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<std::uint64_t>> buckets_;  // One more than bounds_: +Inf.
  std::atomic<double> sum_{0};
};

/// Owns every series. The returned references stay valid as long as the registry.
class Metrics {
 public:
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, const std::vector<double>& bounds,
                       const Labels& labels = {});
  /// All series as Prometheus text.
  [[nodiscard]] std::string text() const;

 private:
  struct Series {
    Labels labels;
    std::unique_ptr<Counter> counter = nullptr;
    std::unique_ptr<Gauge> gauge = nullptr;
    std::unique_ptr<Histogram> histogram = nullptr;
  };
  struct Family {
    std::string help;
    std::string type;
    std::map<std::string, Series> series;
  };
  Series& series(std::string_view name, std::string_view help, std::string_view type,
                 const Labels& labels) HF_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Family, std::less<>> families_ HF_GUARDED_BY(mutex_);
};

/// Bucket bounds in seconds used for request and token latencies.
const std::vector<double>& latency_buckets_seconds();

}  // namespace hf
