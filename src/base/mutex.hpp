#pragma once
// std::mutex with clang's thread-safety annotations (checked by the tidy preset). Any thread.

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define HF_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define HF_THREAD_ANNOTATION(x)
#endif
#define HF_CAPABILITY(x) HF_THREAD_ANNOTATION(capability(x))
#define HF_SCOPED_CAPABILITY HF_THREAD_ANNOTATION(scoped_lockable)
#define HF_GUARDED_BY(x) HF_THREAD_ANNOTATION(guarded_by(x))
#define HF_REQUIRES(...) HF_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define HF_ACQUIRE(...) HF_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define HF_RELEASE(...) HF_THREAD_ANNOTATION(release_capability(__VA_ARGS__))

namespace hf {

class HF_CAPABILITY("mutex") Mutex {
 public:
  void lock() HF_ACQUIRE() { mutex_.lock(); }
  void unlock() HF_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// Holds a Mutex for its scope; usable with Condition.
class HF_SCOPED_CAPABILITY Lock {
 public:
  explicit Lock(Mutex& mutex) HF_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() HF_RELEASE() { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  /// For std::condition_variable_any, which releases and takes it again.
  void lock() HF_ACQUIRE() { mutex_.lock(); }
  void unlock() HF_RELEASE() { mutex_.unlock(); }

 private:
  Mutex& mutex_;
};

using Condition = std::condition_variable_any;

}  // namespace hf
