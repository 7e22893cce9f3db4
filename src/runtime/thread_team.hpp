#pragma once
// The threads under ggml's parallel regions and how they wait. The OpenMP entry points are in
// omp_entry.cpp; this is the team behind them. Process-wide: the entry points have no context.

#include <atomic>
#include <cstdint>

namespace hf::runtime {

/// Waits on a counter: spins as long as that pays, then sleeps on a futex.
/// A wait much longer than the usual few microseconds means that a thread of the team lost its core
/// to other work. Spinning then takes the core from the very thread that is waited for, so the team
/// sleeps at once until waits are short again.
class WaitMeter {
 public:
  /// Sleeps or spins until `counter` differs from `seen`. `sleepers`: raised while asleep, so that
  /// the other side knows whether to wake. `measured`: the wait tells of contention.
  enum class Kind : std::uint8_t { measured, idle };
  void wait(std::atomic<std::uint32_t>& counter, std::uint32_t seen,
            std::atomic<std::uint32_t>& sleepers, Kind kind);
  static void wake(std::atomic<std::uint32_t>& counter, std::atomic<std::uint32_t>& sleepers);
  [[nodiscard]] bool contended() const {
    return score_.load(std::memory_order_relaxed) > kScoreContended;
  }
  void force(int policy) { policy_.store(policy, std::memory_order_relaxed); }
  [[nodiscard]] int policy() const { return policy_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t regions() const { return regions_.load(std::memory_order_relaxed); }
  void count_region() { regions_.fetch_add(1, std::memory_order_relaxed); }

  static constexpr int kAdaptive = 0;
  static constexpr int kSpin = 1;
  static constexpr int kPassive = 2;

 private:
  void note(std::uint64_t waited_ns);

  static constexpr int kScoreContended = 24;
  static constexpr int kScoreMax = 400;
  std::atomic<int> score_{0};
  std::atomic<int> policy_{kAdaptive};
  std::atomic<std::uint64_t> regions_{0};
};

/// The process's only meter.
WaitMeter& wait_meter();

}  // namespace hf::runtime
