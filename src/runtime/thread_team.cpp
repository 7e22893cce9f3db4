#include "runtime/thread_team.hpp"

#include <algorithm>
#include <chrono>
#include <climits>

#include <immintrin.h>
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hf::runtime {
namespace {

// Waits in a balanced step take a few microseconds; a lost core costs a scheduler slice, 1 ms or
// more.
constexpr std::uint64_t kLostCoreNs = 1'000'000;
constexpr std::uint64_t kSpinQuietNs = 1'000'000;
constexpr std::uint64_t kSpinContendedNs = 2'000;
constexpr std::uint64_t kSpinIdleNs =
    50'000;  // Between regions the engine samples or waits for work.
// More than this part of a window lost is other work; the server that belongs to this engine also
// takes a core now and then, for a moment.
constexpr std::uint64_t kWindowNs = 100'000'000;
constexpr std::uint64_t kLostMostNs = 30'000'000;
constexpr std::uint64_t kPatienceLeastNs = 100'000'000;
constexpr std::uint64_t kPatienceMostNs = 2'000'000'000;
constexpr unsigned kGivenUpMost = 128;

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

std::uint32_t* word(std::atomic<std::uint32_t>& counter) {
  return reinterpret_cast<std::uint32_t*>(&counter);
}

// How often the scheduler took a core away from a thread of ours that wanted to run.
long involuntary_switches() {
  struct rusage usage = {};
  return ::getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}

}  // namespace

bool WaitMeter::contended() const {
  const auto until = until_.load(std::memory_order_relaxed);
  return until != 0 && policy() == kAdaptive && now_ns() < until;
}

unsigned WaitMeter::threads_for(unsigned wanted) const {
  if (!contended()) return wanted;
  const auto given_up = given_up_.load(std::memory_order_relaxed);
  return wanted > given_up ? wanted - given_up : 1;
}

void WaitMeter::give_way(std::uint64_t now) {
  const auto until = until_.load(std::memory_order_relaxed);
  const auto last = patience_.load(std::memory_order_relaxed);
  // Still, or soon again: more threads too many, and a longer wait for the next attempt.
  const bool again = until != 0 && now < until + kPatienceMostNs;
  const auto given_up = given_up_.load(std::memory_order_relaxed);
  given_up_.store(now < until ? std::min(given_up * 2, kGivenUpMost) : std::max(1U, again ? given_up : 1U),
                  std::memory_order_relaxed);
  const auto patience = again ? std::min(last * 2, kPatienceMostNs) : kPatienceLeastNs;
  patience_.store(patience, std::memory_order_relaxed);
  until_.store(now + patience, std::memory_order_relaxed);
}

void WaitMeter::note(std::uint64_t now, std::uint64_t waited_ns) {
  if (waited_ns < kLostCoreNs) return;
  // Large matrices leave threads waiting as long without any neighbour: only a core that was really
  // taken away counts.
  const auto switches = involuntary_switches();
  if (switches_.exchange(switches, std::memory_order_relaxed) == switches) return;
  if (now - window_begin_.load(std::memory_order_relaxed) > kWindowNs) {
    window_begin_.store(now, std::memory_order_relaxed);
    lost_ns_.store(0, std::memory_order_relaxed);
  }
  if (lost_ns_.fetch_add(waited_ns, std::memory_order_relaxed) + waited_ns < kLostMostNs) return;
  lost_ns_.store(0, std::memory_order_relaxed);
  give_way(now);
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
  if (kind == Kind::measured) {
    const auto ended = now_ns();
    note(ended, ended - started);
  }
}

void WaitMeter::wake(std::atomic<std::uint32_t>& counter, std::atomic<std::uint32_t>& sleepers) {
  if (sleepers.load() == 0) return;
  ::syscall(SYS_futex, word(counter), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

std::atomic<std::uint32_t>& blas_threads() {
  static std::atomic<std::uint32_t> threads{1};
  return threads;
}

WaitMeter& wait_meter() {
  static WaitMeter meter;
  return meter;
}

}  // namespace hf::runtime
