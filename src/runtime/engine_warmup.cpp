#include "runtime/engine_warmup.hpp"

#include <algorithm>

namespace hf::runtime {

Result<WarmUp> warm_up_model(LlamaModel& model, std::uint32_t threads_wanted, Duration budget) {
  auto& runner = *model.runner();
  const auto run_rows = [&runner](std::uint32_t count) -> Result<void> {
    std::vector<Row> rows(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      rows[i] = {
          .token = static_cast<Token>(i % 100), .position = i, .wants_logits = i + 1 == count};
    }
    const auto outcome = runner.step(rows);
    runner.truncate(0, 0);
    if (!outcome) return std::unexpected(outcome.error());
    return {};
  };
  HF_TRY_VOID(run_rows(1));
  WarmUp warmed;
  if (threads_wanted > 0) {
    warmed.threads = {.decode = threads_wanted, .prefill = threads_wanted};
    model.set_threads(threads_wanted, threads_wanted);
  } else {
    warmed.threads = choose_threads(
        [&model](ThreadChoice choice) { model.set_threads(choice.decode, choice.prefill); },
        run_rows, budget / 3);
    model.set_threads(warmed.threads.decode, warmed.threads.prefill);
  }
  const auto rows_max = std::min({runner.facts().rows_max, runner.facts().cells_total, 512U});
  warmed.costs = HF_TRY(measure_costs(run_rows, rows_max, budget * 2 / 3));
  return warmed;
}

}  // namespace hf::runtime
