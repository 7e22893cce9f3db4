#pragma once
// Wakes the supervisor out of poll(). Any thread may ring; it outlives the pool in handles.

#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

namespace hf::inference {

class Wakeup {
 public:
  Wakeup() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Wakeup() {
    if (fd_ >= 0) ::close(fd_);
  }
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  /// -1: no descriptor was left.
  [[nodiscard]] int fd() const { return fd_; }
  // A full or empty counter is as good as rung or cleared, so results do not matter.
  void ring() const { [[maybe_unused]] const auto result = ::eventfd_write(fd_, 1); }
  void clear() const {
    eventfd_t count = 0;
    [[maybe_unused]] const auto result = ::eventfd_read(fd_, &count);
  }

 private:
  int fd_;
};

}  // namespace hf::inference
