#pragma once
// What a step costs by its number of rows, and how many prompt rows a step should take. Used by the
// scheduler. Threads: engine thread.

#include <cstdint>
#include <vector>

namespace hf::runtime {

/// Milliseconds of a step by number of rows, measured at warm-up; rising.
struct CostPoint {
  std::uint32_t rows = 0;
  double ms = 0;
};

class StepCosts {
 public:
  StepCosts() = default;
  /// Points may be in any order and need not rise; bad ones are dropped.
  explicit StepCosts(std::vector<CostPoint> points);

  [[nodiscard]] bool known() const { return !points_.empty(); }
  /// Between points linear, beyond the last at the last rows' price. 0 if nothing is known.
  [[nodiscard]] double ms(std::uint32_t rows) const;
  /// Most rows whose step stays within `limit_ms`; 0: none does.
  [[nodiscard]] std::uint32_t rows_within(double limit_ms) const;
  /// Fewest rows of a step whose price per row is nearly the best one: shorter steps waste time,
  /// longer ones only make others wait.
  [[nodiscard]] std::uint32_t efficient_rows() const { return efficient_rows_; }

 private:
  std::vector<CostPoint> points_ = {};  // Rising in both members.
  std::uint32_t efficient_rows_ = kRowsUnknown;

  static constexpr std::uint32_t kRowsUnknown = 128;
};

}  // namespace hf::runtime
