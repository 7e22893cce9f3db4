#include "runtime/thread_team.hpp"

#include <algorithm>
#include <chrono>
#include <climits>

#include <immintrin.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hf::runtime {
namespace {

// Waits in a balanced step take a few microseconds; a lost core costs a scheduler slice, 1 ms or
// more.
constexpr std::uint64_t kLostCoreNs = 400'000;
constexpr std::uint64_t kSpinQuietNs = 1'000'000;
constexpr std::uint64_t kSpinContendedNs = 2'000;
constexpr std::uint64_t kSpinIdleNs =
    50'000;  // Between regions the engine samples or waits for work.
constexpr int kLostCorePoints = 12;

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

std::uint32_t* word(std::atomic<std::uint32_t>& counter) {
  return reinterpret_cast<std::uint32_t*>(&counter);
}

}  // namespace

void WaitMeter::note(std::uint64_t waited_ns) {
  const auto score = score_.load(std::memory_order_relaxed);
  const auto next = waited_ns >= kLostCoreNs ? score + kLostCorePoints : score - 1;
  score_.store(std::clamp(next, 0, kScoreMax), std::memory_order_relaxed);
}

void WaitMeter::wait(std::atomic<std::uint32_t>& counter, std::uint32_t seen,
                     std::atomic<std::uint32_t>& sleepers, Kind kind) {
  // The usual case: the other side is a moment away. No clock is read.
  for (int i = 0; i < 64; ++i) {
    if (counter.load(std::memory_order_acquire) != seen) return;
    _mm_pause();
  }
  const auto started = now_ns();
  std::uint64_t spin_ns = kind == Kind::idle ? kSpinIdleNs : kSpinQuietNs;
  if (policy_ == kPassive || (policy_ == kAdaptive && contended())) spin_ns = kSpinContendedNs;
  if (policy_ == kSpin) spin_ns = ULONG_MAX;
  while (counter.load(std::memory_order_acquire) == seen) {
    for (int i = 0; i < 32; ++i) _mm_pause();
    if (now_ns() - started < spin_ns) continue;
    sleepers.fetch_add(1);
    if (counter.load() == seen) {
      ::syscall(SYS_futex, word(counter), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
    }
    sleepers.fetch_sub(1);
  }
  if (kind == Kind::measured) note(now_ns() - started);
}

void WaitMeter::wake(std::atomic<std::uint32_t>& counter, std::atomic<std::uint32_t>& sleepers) {
  if (sleepers.load() == 0) return;
  ::syscall(SYS_futex, word(counter), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

WaitMeter& wait_meter() {
  static WaitMeter meter;
  return meter;
}

}  // namespace hf::runtime
