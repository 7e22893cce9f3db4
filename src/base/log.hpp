#pragma once
// Structured log lines on standard error (and, if set, a file). No prompt or document text, ever.
// Any thread.

#include <format>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace hf::log {

enum class Level { debug, info, warn, error };

struct Options {
  Level level = Level::info;
  std::string file = {};     ///< Empty: standard error.
  std::string program = {};  ///< Shown in each line.
};

/// Call once, before threads start. Errors: failed_precondition, the file cannot be opened.
Result<void> start(const Options& options);
/// The log file again under its name, after it was moved away; nothing on standard error.
/// Errors: failed_precondition; lines go on into the old file then.
Result<void> reopen();
Result<Level> parse_level(std::string_view text);
void write(Level level, std::string_view line);

template <class... Args>
void debug(std::format_string<Args...> text, Args&&... args) {
  write(Level::debug, std::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::format_string<Args...> text, Args&&... args) {
  write(Level::info, std::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warn(std::format_string<Args...> text, Args&&... args) {
  write(Level::warn, std::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::format_string<Args...> text, Args&&... args) {
  write(Level::error, std::format(text, std::forward<Args>(args)...));
}
/// "what: message (detail)" at level warn.
void failure(std::string_view what, const Error& error);

}  // namespace hf::log
