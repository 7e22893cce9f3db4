#include "inference/engine_process.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <format>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.hpp"

namespace hf::inference {
namespace {

constexpr int kChildSocket = 3;
constexpr std::size_t kLinesKept = 50;
constexpr std::size_t kLineBytesMax = 1000;

/// Closes on leaving the scope.
struct OwnedFd {
  int fd = -1;
  explicit OwnedFd(int value) : fd(value) {}
  ~OwnedFd() {
    if (fd >= 0) ::close(fd);
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  int release() { return std::exchange(fd, -1); }
};

/// Above the numbers that the child overwrites.
OwnedFd high_copy(int fd) {
  return OwnedFd(::fcntl(fd, F_DUPFD_CLOEXEC, 16));
}

/// Between fork and exec: only calls that are safe in a copy of a threaded process.
[[noreturn]] void become_engine(char* const* arguments, pid_t parent, int socket, int output,
                                int nothing) {
  ::setpgid(0, 0);  // A Ctrl-C in the terminal is for the server, which drains its engines.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  struct sigaction usual = {};
  usual.sa_handler = SIG_DFL;
  for (int number = 1; number < 65; ++number) ::sigaction(number, &usual, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(nothing, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  ::dup2(socket, kChildSocket);
  ::syscall(SYS_close_range, kChildSocket + 1, ~0U, 1U << 2U);  // CLOSE_RANGE_CLOEXEC
  ::execv(arguments[0], arguments);
  constexpr std::string_view kText = "The engine program could not be run.\n";
  [[maybe_unused]] const auto written = ::write(2, kText.data(), kText.size());
  ::_exit(127);
}

std::unexpected<Error> out_of_resources(const char* what) {
  return fail(Errc::internal,
              "No engine process could be started; raise the process and file limits.",
              std::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

Result<std::unique_ptr<EngineProcess>> EngineProcess::spawn(const EngineCommand& command,
                                                            int socket) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return out_of_resources("pipe");
  OwnedFd output_read(ends[0]);
  const OwnedFd output_write(ends[1]);
  const OwnedFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto socket_high = high_copy(socket);
  const auto output_high = high_copy(output_write.fd);
  const auto nothing_high = high_copy(nothing.fd);
  if (socket_high.fd < 0 || output_high.fd < 0 || nothing_high.fd < 0) {
    return out_of_resources("descriptor");
  }
  ::fcntl(output_read.fd, F_SETFL, O_NONBLOCK);

  std::vector<std::string> words = {command.program, "--socket-fd", std::to_string(kChildSocket)};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const auto parent = ::getpid();
  const auto pid = ::fork();
  if (pid < 0) return out_of_resources("fork");
  if (pid == 0) {
    become_engine(arguments.data(), parent, socket_high.fd, output_high.fd, nothing_high.fd);
  }
  const auto pid_fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pid_fd < 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return out_of_resources("pidfd_open");
  }
  return std::unique_ptr<EngineProcess>(new EngineProcess(pid, pid_fd, output_read.release()));
}

EngineProcess::~EngineProcess() {
  if (!reaped_) {
    kill();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (output_fd_ >= 0) ::close(output_fd_);
  ::close(pid_fd_);
}

void EngineProcess::kill() const {
  if (!reaped_) ::syscall(SYS_pidfd_send_signal, pid_fd_, SIGKILL, nullptr, 0);
}

bool EngineProcess::reap() {
  if (reaped_) return true;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  reaped_ = true;
  if (WIFSIGNALED(status)) {
    ending_ = std::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  } else {
    ending_ = std::format("exit status {}", WEXITSTATUS(status));
  }
  read_output();
  if (!partial_.empty()) add_output("\n");
  return true;
}

void EngineProcess::read_output() {
  std::array<char, 4096> bytes;
  while (output_fd_ >= 0) {
    const auto got = ::read(output_fd_, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      ::close(std::exchange(output_fd_, -1));
      return;
    }
    add_output({bytes.data(), static_cast<std::size_t>(got)});
  }
}

void EngineProcess::add_output(std::string_view bytes) {
  for (const char c : bytes) {
    if (c != '\n' && partial_.size() < kLineBytesMax) {
      // Control bytes could forge lines of the log.
      partial_.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
    }
    if (c != '\n') continue;
    log::debug("engine {}: {}", pid_, partial_);
    lines_.push_back(std::exchange(partial_, {}));
    if (lines_.size() > kLinesKept) lines_.pop_front();
  }
}

}  // namespace hf::inference
