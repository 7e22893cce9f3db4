#pragma once
// After the load: picks the number of compute threads and measures what steps cost.

#include <vector>

#include "runtime/compute_threads.hpp"
#include "runtime/llama_model.hpp"

namespace hf::runtime {

struct WarmUp {
  ThreadChoice threads;
  std::vector<CostPoint> costs;
};

/// `threads_wanted`: 0 measures. Takes about `budget`; leaves the model's sequences empty.
/// Errors: internal, the model cannot compute.
Result<WarmUp> warm_up_model(LlamaModel& model, std::uint32_t threads_wanted, Duration budget);

}  // namespace hf::runtime
