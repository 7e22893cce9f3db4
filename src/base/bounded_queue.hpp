#pragma once
// The only way to hand work between threads: a full queue refuses, it never waits and never grows.

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "base/mutex.hpp"
#include "base/result.hpp"

namespace hf {

/// First in, first out. Threads: any number of producers and consumers.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  /// Errors: resource_exhausted, full; cancelled, closed. The item is dropped then.
  Result<void> push(T item) {
    {
      const Lock lock(mutex_);
      if (closed_) return fail(Errc::cancelled, "The queue is closed.");
      if (items_.size() >= capacity_) return fail(Errc::resource_exhausted, "The queue is full.");
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    return {};
  }

  /// Waits for an item; nothing once the queue is closed and empty.
  std::optional<T> pop() {
    Lock lock(mutex_);
    while (items_.empty() && !closed_) ready_.wait(lock);
    return take();
  }

  /// As pop, but gives up after `patience`.
  std::optional<T> pop_for(std::chrono::nanoseconds patience) {
    Lock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + patience;
    while (items_.empty() && !closed_) {
      if (ready_.wait_until(lock, until) == std::cv_status::timeout) break;
    }
    return take();
  }

  /// Does not wait.
  std::optional<T> try_pop() {
    const Lock lock(mutex_);
    return take();
  }

  /// Refuses new items and wakes every waiter; items already inside can still be popped.
  void close() {
    {
      const Lock lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  [[nodiscard]] bool closed() const {
    const Lock lock(mutex_);
    return closed_;
  }

  [[nodiscard]] std::size_t size() const {
    const Lock lock(mutex_);
    return items_.size();
  }

 private:
  std::optional<T> take() HF_REQUIRES(mutex_) {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  const std::size_t capacity_;
  mutable Mutex mutex_;
  Condition ready_;
  std::deque<T> items_ HF_GUARDED_BY(mutex_);
  bool closed_ HF_GUARDED_BY(mutex_) = false;
};

}  // namespace hf
