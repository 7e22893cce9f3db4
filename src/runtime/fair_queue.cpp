#include "runtime/fair_queue.hpp"

#include <algorithm>
#include <tuple>

namespace hf::runtime {

struct FairAccount {
  double served = 0;         // Virtual time: tokens paid, never below the others' when it returns.
  std::uint32_t active = 0;  // Items waiting or being served.
  std::array<std::deque<QueueItem*>, 3> waiting = {};  // By class, oldest first.
};

namespace {

constexpr std::size_t kAccountsMax = 4096;  // Idle ones beyond it are forgotten.

std::size_t class_of(const QueueItem& item) {
  return std::min<std::size_t>(static_cast<std::size_t>(item.priority), 2);
}

}  // namespace

FairQueue::FairQueue(Duration ageing) : ageing_(std::max(ageing, Duration(1))) {}
FairQueue::~FairQueue() = default;

double FairQueue::floor() const {
  double least = -1;
  for (const auto& [tenant, account] : accounts_) {
    if (account->active > 0 && (least < 0 || account->served < least)) least = account->served;
  }
  return least < 0 ? clock_ : least;
}

void FairQueue::push(QueueItem& item, const std::string& tenant) {
  if (accounts_.size() >= kAccountsMax) {
    std::erase_if(accounts_, [](const auto& entry) { return entry.second->active == 0; });
  }
  auto& account = accounts_[tenant];
  if (account == nullptr) account = std::make_unique<FairAccount>();
  // Having been away earns nothing: a tenant that returns starts level with the others.
  if (account->active == 0) account->served = std::max(account->served, floor());
  ++account->active;
  item.account = account.get();
  account->waiting[class_of(item)].push_back(&item);
  ++waiting_;
}

std::uint32_t FairQueue::rank(const QueueItem& item, TimePoint now) const {
  const auto raised = std::max<Duration::rep>(0, (now - item.arrived) / ageing_);
  const auto start = static_cast<Duration::rep>(class_of(item));
  return static_cast<std::uint32_t>(start - std::min(start, raised));
}

QueueItem* FairQueue::next(TimePoint now) const {
  QueueItem* best = nullptr;
  const auto key = [&](const QueueItem& item) {
    return std::tuple(rank(item, now), item.account->served, item.arrived);
  };
  for (const auto& [tenant, account] : accounts_) {
    for (const auto& line : account->waiting) {
      if (!line.empty() && (best == nullptr || key(*line.front()) < key(*best)))
        best = line.front();
    }
  }
  return best;
}

void FairQueue::take(QueueItem& item, double tokens) {
  std::erase(item.account->waiting[class_of(item)], &item);
  --waiting_;
  item.start_tag = item.account->served;
  item.charged = tokens;
  item.account->served += tokens;
  clock_ = std::max(clock_, item.start_tag);
}

void FairQueue::settle(QueueItem& item, double tokens) {
  auto& account = *item.account;
  account.served = std::max(0.0, account.served + tokens - item.charged);
  item.charged = tokens;
  leave(account);
  item.account = nullptr;
}

void FairQueue::remove(QueueItem& item) {
  std::erase(item.account->waiting[class_of(item)], &item);
  --waiting_;
  leave(*item.account);
  item.account = nullptr;
}

void FairQueue::leave(FairAccount& account) {
  --account.active;
}

}  // namespace hf::runtime
