#pragma once
// Time as a dependency, so that tests and simulations control it. Any thread.

#include <chrono>
#include <cstdint>

namespace hf {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
};

/// The machine's monotonic clock.
class SteadyClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return std::chrono::steady_clock::now(); }
};

/// Moves only when told to. Threads: one.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return now_; }
  void advance(Duration by) { now_ += by; }

 private:
  TimePoint now_{};
};

/// A moment after which work is pointless; default: never.
struct Deadline {
  TimePoint at = TimePoint::max();
  [[nodiscard]] bool passed(TimePoint now) const { return now >= at; }
  static Deadline after(const Clock& clock, Duration delay) { return {clock.now() + delay}; }
};

/// Milliseconds as a double, for reports.
inline double to_ms(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace hf
