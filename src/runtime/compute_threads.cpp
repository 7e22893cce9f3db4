#include "runtime/compute_threads.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>

#include <sched.h>

#include "runtime/thread_team.hpp"

namespace hf::runtime {
namespace {

using SteadyClockNow = std::chrono::steady_clock;

// cgroup v2: "max 100000" or "200000 100000": microseconds of CPU per period.
std::uint32_t quota_cores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return UINT32_MAX;
  return static_cast<std::uint32_t>(std::max(1.0, std::floor(std::stod(quota) / period)));
}

// Best of some runs, in milliseconds; the best is the least disturbed one.
Result<double> best_ms(const std::function<Result<void>(std::uint32_t)>& run_rows,
                       std::uint32_t rows, int runs) {
  double best = 1e12;
  for (int i = 0; i < runs; ++i) {
    const auto started = SteadyClockNow::now();
    HF_TRY_VOID(run_rows(rows));
    best = std::min(best, to_ms(SteadyClockNow::now() - started));
  }
  return best;
}

}  // namespace

bool team_in_use() {
  return wait_meter().regions() > 0;
}

void set_wait_policy(WaitPolicy policy) {
  switch (policy) {
    case WaitPolicy::adaptive:
      wait_meter().force(WaitMeter::kAdaptive);
      break;
    case WaitPolicy::spin:
      wait_meter().force(WaitMeter::kSpin);
      break;
    case WaitPolicy::passive:
      wait_meter().force(WaitMeter::kPassive);
      break;
  }
}

std::string_view to_string(WaitPolicy policy) {
  switch (policy) {
    case WaitPolicy::adaptive:
      return "adaptive";
    case WaitPolicy::spin:
      return "spin";
    case WaitPolicy::passive:
      return "passive";
  }
  return "adaptive";
}

std::uint32_t contention_now() {
  return wait_meter().contended() ? 1 : 0;
}

std::uint32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1U, std::min(static_cast<std::uint32_t>(CPU_COUNT(&set)), quota_cores()));
}

ThreadChoice choose_threads(const std::function<void(ThreadChoice)>& apply,
                            const std::function<Result<void>(std::uint32_t rows)>& run_rows,
                            Duration budget) {
  const auto cores = usable_cores();
  ThreadChoice best{.decode = cores, .prefill = cores};
  double best_time = 1e12;
  const auto until = SteadyClockNow::now() + budget;
  // From many to few: all cores, half of them, one.
  for (auto threads = cores; threads >= 1; threads /= 2) {
    apply({.decode = threads, .prefill = threads});
    (void)run_rows(1);
    const auto took = best_ms(run_rows, 1, 5);
    if (!took) break;
    // Fewer threads must be clearly better: the measured moment may be a busy one.
    if (*took < best_time * 0.9) {
      best_time = *took;
      best.decode = threads;
    }
    if (SteadyClockNow::now() > until) break;
  }
  return best;
}

Result<std::vector<CostPoint>> measure_costs(
    const std::function<Result<void>(std::uint32_t rows)>& run_rows, std::uint32_t rows_max,
    Duration budget) {
  constexpr std::array<std::uint32_t, 10> kRows = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
  std::vector<CostPoint> costs;
  const auto until = SteadyClockNow::now() + budget;
  for (const auto rows : kRows) {
    if (rows > rows_max) break;
    const auto left = to_ms(until - SteadyClockNow::now());
    // The next point costs at most twice the last; stop before the budget is overrun.
    if (!costs.empty() && left < costs.back().ms * 2.2) break;
    auto ms = HF_TRY(best_ms(run_rows, rows, rows <= 16 ? 2 : 1));
    if (!costs.empty()) ms = std::max(ms, costs.back().ms);
    costs.push_back({rows, ms});
  }
  // Beyond what was measured a row costs what the last ones did.
  while (!costs.empty() && costs.back().rows < rows_max && costs.back().rows < kRows.back()) {
    costs.push_back({costs.back().rows * 2, costs.back().ms * 2});
  }
  return costs;
}

}  // namespace hf::runtime
