#include "runtime/fair_queue.hpp"

#include <list>
#include <map>

#include <gtest/gtest.h>

namespace hf::runtime {
namespace {

using namespace std::chrono_literals;

struct Line {
  FairQueue queue{10s};
  ManualClock clock;
  std::list<QueueItem> items;
  std::map<QueueItem*, std::string> tenants;

  QueueItem& push(const std::string& tenant, wire::Priority priority = wire::Priority::normal) {
    auto& item = items.emplace_back();
    item.priority = priority;
    item.arrived = clock.now();
    clock.advance(1us);
    tenants[&item] = tenant;
    queue.push(item, tenant);
    return item;
  }
  std::string take(double tokens) {
    auto* item = queue.next(clock.now());
    if (item == nullptr) return {};
    queue.take(*item, tokens);
    return tenants[item];
  }
};

TEST(FairQueue, serves_the_oldest_of_one_tenant_first) {
  Line line;
  auto& first = line.push("a");
  line.push("a");
  EXPECT_EQ(line.queue.next(line.clock.now()), &first);
  EXPECT_EQ(line.queue.waiting(), 2U);
}

TEST(FairQueue, shares_tokens_not_requests_between_tenants) {
  Line line;
  for (int i = 0; i < 40; ++i) line.push("large");
  for (int i = 0; i < 40; ++i) line.push("small");
  double large = 0;
  double small = 0;
  for (int i = 0; i < 44; ++i) {
    auto* next = line.queue.next(line.clock.now());
    const bool is_large = line.tenants[next] == "large";
    line.queue.take(*next, is_large ? 1000 : 100);
    (is_large ? large : small) += is_large ? 1000 : 100;
  }
  EXPECT_NEAR(large, small, 1000);
}

TEST(FairQueue, gives_nothing_for_having_been_away) {
  Line line;
  for (int i = 0; i < 20; ++i) line.push("busy");
  for (int i = 0; i < 10; ++i) line.take(100);
  for (int i = 0; i < 10; ++i) line.push("late");
  int late = 0;
  for (int i = 0; i < 10; ++i) late += line.take(100) == "late" ? 1 : 0;
  EXPECT_GE(late, 4);
  EXPECT_LE(late, 6);
}

TEST(FairQueue, prefers_better_classes) {
  Line line;
  line.push("batch", wire::Priority::batch);
  line.push("normal", wire::Priority::normal);
  line.push("interactive", wire::Priority::interactive);
  EXPECT_EQ(line.take(1), "interactive");
  EXPECT_EQ(line.take(1), "normal");
  EXPECT_EQ(line.take(1), "batch");
}

TEST(FairQueue, waiting_raises_the_class_so_that_nothing_starves) {
  Line line;
  line.push("batch", wire::Priority::batch);
  int served_before = 0;
  for (;; ++served_before) {
    ASSERT_LT(served_before, 1000);
    line.push("interactive", wire::Priority::interactive);
    line.clock.advance(100ms);
    if (line.take(1000) == "batch") break;
  }
  EXPECT_GE(served_before, 190);
  EXPECT_LE(served_before, 210);
}

TEST(FairQueue, settles_what_was_really_used) {
  Line line;
  for (int i = 0; i < 4; ++i) line.push("a");
  for (int i = 0; i < 4; ++i) line.push("b");
  auto* first = line.queue.next(line.clock.now());
  line.queue.take(*first, 1000);
  line.queue.settle(*first, 10);
  EXPECT_EQ(line.take(500), "b");
  EXPECT_EQ(line.take(1), "a");
}

TEST(FairQueue, removes_a_waiting_item) {
  Line line;
  auto& item = line.push("a");
  line.queue.remove(item);
  EXPECT_EQ(line.queue.next(line.clock.now()), nullptr);
  EXPECT_EQ(line.queue.waiting(), 0U);
}

}  // namespace
}  // namespace hf::runtime
