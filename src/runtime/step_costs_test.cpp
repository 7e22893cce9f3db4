#include "runtime/step_costs.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace hf::runtime {
namespace {

TEST(StepCosts, lies_between_the_measured_points) {
  const StepCosts costs({{1, 10}, {101, 110}});
  EXPECT_DOUBLE_EQ(costs.ms(1), 10);
  EXPECT_DOUBLE_EQ(costs.ms(51), 60);
  EXPECT_DOUBLE_EQ(costs.ms(202), 220);
  EXPECT_EQ(costs.rows_within(60), 51U);
  EXPECT_EQ(costs.rows_within(5), 0U);
}

TEST(StepCosts, finds_where_longer_steps_stop_paying) {
  // A fixed part of 60 ms and 1 ms a row: nearly all of the speed is there at 512 rows.
  const StepCosts fixed({{1, 61}, {64, 124}, {128, 188}, {256, 316}, {512, 572}});
  EXPECT_EQ(fixed.efficient_rows(), 512U);
  // No fixed part to speak of: short steps are as good, within reason.
  const StepCosts linear({{1, 2}, {32, 40}, {64, 66}, {128, 128}, {256, 256}, {512, 512}});
  EXPECT_EQ(linear.efficient_rows(), 128U);
}

TEST(StepCosts, survives_bad_points) {
  const StepCosts costs({{0, 1}, {8, std::nan("")}, {16, 5}, {4, 9}, {16, 3}, {2, -1}});
  EXPECT_DOUBLE_EQ(costs.ms(4), 9);
  EXPECT_GE(costs.ms(16), costs.ms(4));
  const StepCosts none(std::vector<CostPoint>{});
  EXPECT_FALSE(none.known());
  EXPECT_EQ(none.ms(5), 0);
  EXPECT_EQ(none.rows_within(100), 0U);
}

}  // namespace
}  // namespace hf::runtime
