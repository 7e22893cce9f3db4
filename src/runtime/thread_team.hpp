#pragma once
// The threads under ggml's parallel regions and how they wait. The OpenMP entry points are in
// omp_entry.cpp; this is the team behind them. Process-wide: the entry points have no context.

#include <atomic>
#include <cstdint>

namespace hf::runtime {

/// Waits on a counter: spins as long as that pays, then sleeps on a futex; and notices other work.
/// A long wait during which the process lost a core means that a thread of the team gave way to it.
/// Spinning then takes the core from the very thread that is waited for, and waking a sleeper at
/// every barrier costs more than its help brings. So after a few such waits the team does without
/// as many threads as cores seem taken, for a while that grows while nothing changes.
class WaitMeter {
 public:
  /// Sleeps or spins until `counter` differs from `seen`. `sleepers`: raised while asleep, so that
  /// the other side knows whether to wake. `measured`: the wait tells of contention.
  enum class Kind : std::uint8_t { measured, idle };
  void wait(std::atomic<std::uint32_t>& counter, std::uint32_t seen,
            std::atomic<std::uint32_t>& sleepers, Kind kind);
  static void wake(std::atomic<std::uint32_t>& counter, std::atomic<std::uint32_t>& sleepers);
  /// True while the team gives way to other work.
  [[nodiscard]] bool contended() const;
  /// Threads for a region of which `wanted` were asked for; at least 1.
  [[nodiscard]] unsigned threads_for(unsigned wanted) const;
  void force(int policy) { policy_.store(policy, std::memory_order_relaxed); }
  [[nodiscard]] int policy() const { return policy_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t regions() const { return regions_.load(std::memory_order_relaxed); }
  void count_region() { regions_.fetch_add(1, std::memory_order_relaxed); }

  static constexpr int kAdaptive = 0;
  static constexpr int kSpin = 1;
  static constexpr int kPassive = 2;

 private:
  void note(std::uint64_t now, std::uint64_t waited_ns);
  void give_way(std::uint64_t now);

  // Times in nanoseconds of the monotonic clock. Rough is enough: no order between them matters.
  std::atomic<std::uint64_t> window_begin_{0};
  std::atomic<std::uint64_t> lost_ns_{0};  // In it.
  std::atomic<long> switches_{0};  // Involuntary context switches at the last long wait.
  std::atomic<std::uint64_t> until_{0};
  std::atomic<std::uint64_t> patience_{0};  // Length of the last giving way.
  std::atomic<unsigned> given_up_{0};
  std::atomic<int> policy_{kAdaptive};
  std::atomic<std::uint64_t> regions_{0};
};

/// The process's only meter.
WaitMeter& wait_meter();
/// Threads of a matrix product of the BLAS back end.
std::atomic<std::uint32_t>& blas_threads();

}  // namespace hf::runtime
