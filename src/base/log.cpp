#include "base/log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>

#include <fcntl.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace hf::log {
namespace {

spdlog::level::level_enum to_native(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

/// Appends whole lines; the file can be changed for a new one of the same name at any time.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(std::string path) : path_(std::move(path)) {}
  ~FileSink() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  Result<void> open() {
    constexpr mode_t kNotForOthers = 0640;
    const int opened =
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kNotForOthers);
    if (opened < 0) {
      return fail(Errc::failed_precondition,
                  "The log file cannot be opened; check its folder and rights.",
                  path_ + ": " + std::strerror(errno));
    }
    const std::lock_guard lock(mutex_);
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = opened;
    return {};
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    // A full disk loses log lines; it must not stop the server.
    [[maybe_unused]] const auto written = ::write(descriptor_, line.data(), line.size());
  }
  void flush_() override {}

  const std::string path_;
  int descriptor_ = -1;
};

// Set by start(), before there are threads.
std::shared_ptr<FileSink>& file_sink() {
  static std::shared_ptr<FileSink> sink;
  return sink;
}

}  // namespace

Result<void> reopen() { return file_sink() ? file_sink()->open() : Result<void>(); }

Result<void> start(const Options& options) {
  try {
    std::shared_ptr<spdlog::logger> logger;
    if (options.file.empty()) {
      logger = spdlog::stderr_logger_mt("holdfast");
    } else {
      auto sink = std::make_shared<FileSink>(options.file);
      HF_TRY_VOID(sink->open());
      logger = std::make_shared<spdlog::logger>("holdfast", sink);
      file_sink() = std::move(sink);
    }
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l " + options.program + " %v");
    logger->set_level(to_native(options.level));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
  } catch (const std::exception& problem) {
    return fail(Errc::invalid_argument, "The log file cannot be opened; check its folder and rights.",
                problem.what());
  }
  return {};
}

Result<Level> parse_level(std::string_view text) {
  if (text == "debug") return Level::debug;
  if (text == "info") return Level::info;
  if (text == "warn") return Level::warn;
  if (text == "error") return Level::error;
  return fail(Errc::invalid_argument,
              std::format("Log level '{}' is unknown; use debug, info, warn or error.", text));
}

void write(Level level, std::string_view line) {
  // Text from outside must not be able to look like a line of its own.
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::ranges::none_of(line, control)) {
    spdlog::log(to_native(level), "{}", line);
    return;
  }
  std::string clean(line);
  std::ranges::replace_if(clean, control, ' ');
  spdlog::log(to_native(level), "{}", clean);
}

void failure(std::string_view what, const Error& error) {
  if (error.detail.empty()) {
    warn("{}: {}", what, error.message);
  } else {
    warn("{}: {} ({})", what, error.message, error.detail);
  }
}

}  // namespace hf::log
