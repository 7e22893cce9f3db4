#pragma once
// Threads under ggml. Debian's CPU back ends call the OpenMP runtime, whose spinning barriers
// collapse when another process wants the same cores (docs/adr/0005). compute_threads.cpp gives the
// engine its own small team behind the same entry points: it spins while that helps and sleeps
// once waiting shows that a core was taken away.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/scheduler.hpp"

namespace hf::runtime {

enum class WaitPolicy : std::uint8_t { adaptive, spin, passive };

struct ThreadChoice {
  std::uint32_t decode = 1;
  std::uint32_t prefill = 1;
  WaitPolicy policy = WaitPolicy::adaptive;
};

/// True if ggml's parallel regions really run on our team (checked by running one).
bool team_in_use();
void set_wait_policy(WaitPolicy policy);
std::string_view to_string(WaitPolicy policy);
/// 1 while waiting shows that other work takes our cores, else 0.
std::uint32_t contention_now();
/// Cores this process may use (affinity and cgroup quota).
std::uint32_t usable_cores();

/// Measures steps of the loaded model: picks the number of threads, then the cost curve.
/// `run_rows(n)` computes n prompt rows and forgets them. Takes about `budget`.
ThreadChoice choose_threads(const std::function<void(ThreadChoice)>& apply,
                            const std::function<Result<void>(std::uint32_t rows)>& run_rows,
                            Duration budget);
Result<std::vector<CostPoint>> measure_costs(
    const std::function<Result<void>(std::uint32_t rows)>& run_rows, std::uint32_t rows_max,
    Duration budget);

}  // namespace hf::runtime
