#include "base/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

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

}  // namespace

Result<void> start(const Options& options) {
  try {
    auto logger = options.file.empty() ? spdlog::stderr_logger_mt("holdfast")
                                       : spdlog::basic_logger_mt("holdfast", options.file);
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

void write(Level level, std::string_view line) { spdlog::log(to_native(level), "{}", line); }

void failure(std::string_view what, const Error& error) {
  if (error.detail.empty()) {
    warn("{}: {}", what, error.message);
  } else {
    warn("{}: {} ({})", what, error.message, error.detail);
  }
}

}  // namespace hf::log
