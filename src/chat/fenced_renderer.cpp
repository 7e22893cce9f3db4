#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <format>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutex.hpp"
#include "chat/chat_template.hpp"
#include "chat/render_frames.hpp"

namespace hf::chat {
namespace {

constexpr std::size_t kAnswerExtraBytes = 4096;
constexpr std::size_t kCountedRequestBytesMax = std::size_t{256} << 10U;
constexpr std::size_t kRequestBytesMax = std::size_t{200} << 20U;

class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  // 0, or an error number.
  int spawn(const std::string& program, const std::vector<std::string>& arguments, int socket,
            pid_t& child) {
    posix_spawn_file_actions_adddup2(&actions_, socket, kRenderChildDescriptor);
    posix_spawn_file_actions_addopen(&actions_, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    std::vector<std::string> words = {program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    char* environment[] = {nullptr};
    return posix_spawn(&child, program.c_str(), &actions_, &attributes_, argv.data(), environment);
  }

 private:
  posix_spawn_file_actions_t actions_ = {};
  posix_spawnattr_t attributes_ = {};
};

// A running child and its socket; ends both.
class RenderProcess {
 public:
  RenderProcess(pid_t child, int socket) : child_(child), socket_(socket) {}
  RenderProcess(const RenderProcess&) = delete;
  RenderProcess& operator=(const RenderProcess&) = delete;
  ~RenderProcess() {
    close(socket_);
    if (ended_) return;
    (void)kill(child_, SIGKILL);
    while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  // Notices an end while idle (the thread that started it may have gone, or someone killed it).
  [[nodiscard]] bool alive() {
    if (!ended_) ended_ = waitpid(child_, nullptr, WNOHANG) != 0;
    return !ended_;
  }
  [[nodiscard]] pid_t child() const { return child_; }
  [[nodiscard]] int socket() const { return socket_; }

 private:
  pid_t child_;
  int socket_;
  bool ended_ = false;
};

Result<std::unique_ptr<RenderProcess>> start_process(const std::string& program,
                                                     const std::vector<std::string>& arguments) {
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(Errc::unavailable, "The template process cannot be started; try again.",
                std::strerror(errno));
  }
  pid_t child = 0;
  SpawnSettings settings;
  const auto failure = settings.spawn(program, arguments, ends[1], child);
  close(ends[1]);
  if (failure != 0) {
    close(ends[0]);
    return fail(Errc::unavailable,
                "The template process cannot be started; check the installation.",
                std::format("{}: {}", program, std::strerror(failure)));
  }
  return std::make_unique<RenderProcess>(child, ends[0]);
}

// The child is as little trusted as the template in it: only two codes are taken over.
std::unexpected<Error> child_error(const RenderFrame& frame) {
  unsigned code = 0;
  const auto& text = frame.fields[0];
  std::from_chars(text.data(), text.data() + text.size(), code);
  const bool refused = code == static_cast<unsigned>(Errc::invalid_argument);
  return std::unexpected(Error{.code = refused ? Errc::invalid_argument : Errc::failed_precondition,
                               .message = frame.fields[1],
                               .detail = frame.fields[2],
                               .param = frame.fields[3]});
}

class ProcessRenderer final : public FencedRenderer {
 public:
  ProcessRenderer(std::string program, std::vector<std::string> arguments, RenderFrame opening,
                  FenceOptions options)
      : program_(std::move(program)),
        arguments_(std::move(arguments)),
        opening_(std::move(opening)),
        options_(options) {}

  Result<std::string> render(const RenderRequest& request) override {
    const Lock lock(mutex_);
    if (options_.failures_max != 0 && failures_ >= options_.failures_max) {
      return fail(Errc::failed_precondition,
                  std::format("The model's chat template failed {} times and is switched off; give "
                              "the model another template and load it again.",
                              failures_));
    }
    RenderFrame frame{FrameKind::render,
                      {request.messages_json, request.tools_json, request.template_args_json,
                       request.add_generation_prompt ? "1" : "0"}};
    std::size_t bytes = 0;
    for (const auto& field : frame.fields) bytes += field.size();
    if (bytes > kRequestBytesMax) {
      return fail(Errc::invalid_argument, "The messages are too long; shorten them.");
    }
    HF_TRY_VOID(ensure_started());
    const auto extra = std::chrono::milliseconds(bytes * 100 >> 20U);
    auto answer = exchange(frame, options_.timeout + extra);
    if (answer || answer.error().code == Errc::invalid_argument) {
      failures_ = 0;
    } else if (bytes <= kCountedRequestBytesMax) {
      ++failures_;
    }
    return answer;
  }

  [[nodiscard]] int child() const override {
    const Lock lock(mutex_);
    return process_ ? process_->child() : 0;
  }

  Result<void> start() {
    const Lock lock(mutex_);
    return ensure_started();
  }

 private:
  Result<void> ensure_started() HF_REQUIRES(mutex_) {
    if (process_ && process_->alive()) return {};
    process_.reset();
    process_ = HF_TRY(start_process(program_, arguments_));
    auto opened = exchange(opening_, options_.start_timeout);
    if (opened) return {};
    process_.reset();
    return std::unexpected(std::move(opened).error());
  }

  // The child does not survive an answer that is no answer.
  Result<std::string> exchange(const RenderFrame& frame, std::chrono::milliseconds timeout)
      HF_REQUIRES(mutex_) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    const auto sent = send_frame(process_->socket(), frame, deadline);
    if (!sent) return overrun(sent.error(), timeout);
    auto answer =
        receive_frame(process_->socket(), options_.output_bytes_max + kAnswerExtraBytes, deadline);
    if (!answer) return overrun(answer.error(), timeout);
    if (answer->kind == FrameKind::rendered && answer->fields.size() == 1) {
      return std::move(answer->fields[0]);
    }
    if (answer->kind != FrameKind::failed || answer->fields.size() != 4) {
      return overrun({Errc::data_corrupt, {}, {}, {}}, timeout);
    }
    auto error = child_error(*answer);
    if (error.error().code != Errc::invalid_argument) process_.reset();
    return error;
  }

  std::unexpected<Error> overrun(const Error& error, std::chrono::milliseconds timeout)
      HF_REQUIRES(mutex_) {
    process_.reset();
    if (error.code == Errc::deadline_exceeded) {
      return fail(Errc::deadline_exceeded,
                  std::format("The model's chat template took longer than {} ms; shorten the "
                              "messages or give the model another template.",
                              timeout.count()));
    }
    return fail(
        Errc::failed_precondition,
        "The model's chat template ran out of memory or stack; shorten the messages or give "
        "the model another template.",
        error.message);
  }

  const std::string program_;
  const std::vector<std::string> arguments_;
  const RenderFrame opening_;
  const FenceOptions options_;
  mutable Mutex mutex_;
  std::unique_ptr<RenderProcess> process_ HF_GUARDED_BY(mutex_) = {};
  std::uint32_t failures_ HF_GUARDED_BY(mutex_) = 0;  // One after another.
};

}  // namespace

Result<std::unique_ptr<FencedRenderer>> FencedRenderer::open(
    std::string program, std::vector<std::string> arguments, const std::string& source,
    const std::string& bos_text, const std::string& eos_text, FenceOptions options) {
  if (source.size() > kRequestBytesMax) {
    return fail(Errc::invalid_argument, "The model's chat template is too long.");
  }
  RenderFrame opening{FrameKind::open,
                      {source, bos_text, eos_text, std::to_string(options.memory_bytes_max),
                       std::to_string(options.output_bytes_max)}};
  auto renderer = std::make_unique<ProcessRenderer>(std::move(program), std::move(arguments),
                                                    std::move(opening), options);
  HF_TRY_VOID(renderer->start());
  return renderer;
}

}  // namespace hf::chat
