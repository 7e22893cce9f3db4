#pragma once
// Who is served next: by priority class (which rises with waiting, so that nothing starves), then
// by the tenant that had least so far, then the oldest. Used by the scheduler.
// Threads: engine thread.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/clock.hpp"
#include "wire/messages.hpp"

namespace hf::runtime {

struct FairAccount;

/// Base of what is queued; the queue does not own it.
struct QueueItem {
  FairAccount* account = nullptr;  ///< Set by the queue; the item belongs to this tenant.
  wire::Priority priority = wire::Priority::normal;
  TimePoint arrived{};
  double start_tag = 0;  ///< What the tenant had when this item was taken; low is served first.
  double charged = 0;    ///< Tokens.
};

/// Fair queueing by start tags. Source: Goyal et al., "Start-time fair queueing" (1996).
class FairQueue {
 public:
  /// `ageing`: waiting that raises an item by one class.
  explicit FairQueue(Duration ageing);
  ~FairQueue();
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  /// Makes the item one of the tenant's and lets it wait.
  void push(QueueItem& item, const std::string& tenant);
  /// The next item; null: none waits. Cost: O(tenants).
  [[nodiscard]] QueueItem* next(TimePoint now) const;
  /// Takes a waiting item out to serve it; its tenant pays `tokens`, as estimated.
  void take(QueueItem& item, double tokens);
  /// Ends a taken item: the tenant has paid `tokens` in the end.
  void settle(QueueItem& item, double tokens);
  /// Ends a waiting item.
  void remove(QueueItem& item);
  [[nodiscard]] std::size_t waiting() const { return waiting_; }
  /// 0: interactive, first served.
  [[nodiscard]] std::uint32_t rank(const QueueItem& item, TimePoint now) const;

 private:
  void leave(FairAccount& account);
  [[nodiscard]] double floor() const;

  Duration ageing_;
  std::unordered_map<std::string, std::unique_ptr<FairAccount>> accounts_;
  std::size_t waiting_ = 0;
  double clock_ = 0;  // Start tag of the item taken last.
};

}  // namespace hf::runtime
