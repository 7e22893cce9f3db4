#include "runtime/step_costs.hpp"

#include <algorithm>
#include <cmath>

namespace hf::runtime {
namespace {

constexpr double kNearlyBest = 1.08;  // Price per row against the best one.
// A curve measured on a busy machine ends early and says little; these bounds hold whatever it
// says. Below about 120 rows matrix products lose their efficiency on every machine that was
// measured.
constexpr std::uint32_t kRowsLeast = 128;
constexpr std::uint32_t kRowsMost = 512;

}  // namespace

StepCosts::StepCosts(std::vector<CostPoint> points) {
  std::erase_if(points, [](const CostPoint& p) {
    return p.rows == 0 || !(p.ms > 0) || !std::isfinite(p.ms);
  });
  std::ranges::sort(points, {}, &CostPoint::rows);
  for (const auto& point : points) {
    if (!points_.empty() && points_.back().rows == point.rows) continue;
    points_.push_back(point);
    if (points_.size() > 1) {
      points_.back().ms = std::max(point.ms, points_[points_.size() - 2].ms);
    }
  }
  if (points_.empty()) return;
  const auto per_row = [](const CostPoint& p) { return p.ms / p.rows; };
  const auto best = std::ranges::min(points_, {}, per_row);
  const auto first = std::ranges::find_if(
      points_, [&](const CostPoint& p) { return per_row(p) <= per_row(best) * kNearlyBest; });
  efficient_rows_ = std::clamp(first->rows, kRowsLeast, kRowsMost);
}

double StepCosts::ms(std::uint32_t rows) const {
  if (points_.empty() || rows == 0) return 0;
  const auto above = std::ranges::lower_bound(points_, rows, {}, &CostPoint::rows);
  if (above == points_.begin()) return above->ms;
  if (above == points_.end()) {
    const auto& last = points_.back();
    return last.ms * rows / last.rows;
  }
  const auto& below = *std::prev(above);
  const double part = static_cast<double>(rows - below.rows) / (above->rows - below.rows);
  return below.ms + part * (above->ms - below.ms);
}

std::uint32_t StepCosts::rows_within(double limit_ms) const {
  if (points_.empty() || ms(1) > limit_ms) return 0;
  std::uint32_t low = 1;
  std::uint32_t high = std::uint32_t{1} << 20U;
  while (low < high) {
    const auto middle = low + (high - low + 1) / 2;
    if (ms(middle) <= limit_ms) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace hf::runtime
