#pragma once
// One engine child process: started, watched by descriptor, killed, reaped. Used by ModelSlot.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.hpp"

namespace hf::inference {

struct EngineCommand {
  std::string program;
  /// "--socket-fd N" comes before them.
  std::vector<std::string> arguments;
};

/// Threads: the supervisor only. The child is killed by the kernel when the thread that spawned it
/// ends, so that thread must live as long as the engines. The destructor kills and reaps.
class EngineProcess {
 public:
  /// The child gets `socket` (which the caller still closes) and no other descriptor of ours.
  /// Errors: internal, no process or descriptor left.
  static Result<std::unique_ptr<EngineProcess>> spawn(const EngineCommand& command, int socket);
  ~EngineProcess();
  EngineProcess(const EngineProcess&) = delete;
  EngineProcess& operator=(const EngineProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int pid_fd() const { return pid_fd_; }  ///< Readable once it has ended.
  /// Its standard error; -1 at its end.
  [[nodiscard]] int output_fd() const { return output_fd_; }
  void read_output();
  void kill() const;
  /// True once it has ended; does not wait.
  bool reap();
  /// After reap: "signal 9 (Killed)" or "exit status 3".
  [[nodiscard]] const std::string& ending() const { return ending_; }
  /// The last lines of its standard error, oldest first.
  [[nodiscard]] const std::deque<std::string>& last_lines() const { return lines_; }

 private:
  EngineProcess(pid_t pid, int pid_fd, int output_fd)
      : pid_(pid), pid_fd_(pid_fd), output_fd_(output_fd) {}
  void add_output(std::string_view bytes);

  const pid_t pid_;
  const int pid_fd_;
  int output_fd_;
  bool reaped_ = false;
  std::string ending_;
  std::string partial_;
  std::deque<std::string> lines_;
};

}  // namespace hf::inference
