#include "registry/progress_bar.hpp"

#include <algorithm>
#include <cstdlib>
#include <format>

#include <sys/ioctl.h>
#include <unistd.h>

#include "registry/file_io.hpp"

namespace hf::registry {
namespace {

std::string shortened(const std::string& name, std::size_t width) {
  // Foreign bytes could move the cursor or count as several columns.
  std::string plain;
  for (const char c : name) plain += c >= ' ' && c <= '~' ? c : '?';
  if (plain.size() <= width) return plain;
  if (width < 8) return plain.substr(0, width);
  const auto head = (width - 2) / 2;
  return plain.substr(0, head) + ".." + plain.substr(plain.size() - (width - 2 - head));
}

std::string clock_time(std::chrono::seconds left) {
  const auto seconds = std::min<std::int64_t>(left.count(), 359'999);
  if (seconds < 3600) return std::format("{}:{:02}", seconds / 60, seconds % 60);
  return std::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string_view verb(Progress::Phase phase) {
  switch (phase) {
    case Progress::Phase::fetching:
      return "";
    case Progress::Phase::checking:
      return "checking ";
    case Progress::Phase::unpacking:
      return "unpacking ";
  }
  return "";
}

}  // namespace

std::string progress_line(const Progress& progress, unsigned columns) {
  const std::size_t width = std::max(columns, 20U);
  const auto done = std::min(progress.bytes_done, progress.bytes_total);
  const bool known = progress.bytes_total > 0;
  const double share =
      known ? static_cast<double>(done) / static_cast<double>(progress.bytes_total) : 0;
  auto tail = known ? std::format(" {:3}%", static_cast<int>(share * 100)) : std::string();
  const auto add = [&](const std::string& text) {
    if (tail.size() + text.size() + 10 <= width) tail += text;
  };
  add(known ? std::format(" {} of {}", human_bytes(done), human_bytes(progress.bytes_total))
            : std::format(" {}", human_bytes(progress.bytes_done)));
  if (progress.bytes_per_second > 0) {
    add(std::format(" {}/s", human_bytes(static_cast<std::uint64_t>(progress.bytes_per_second))));
  }
  if (progress.remaining.count() >= 0) add(" " + clock_time(progress.remaining) + " left");
  const auto room = width - tail.size();
  const std::size_t bar = known && room >= 44 ? std::min<std::size_t>(room - 32, 30) : 0;
  auto line =
      shortened(std::string(verb(progress.phase)) + progress.what, room - bar - (bar > 0 ? 3 : 0));
  if (bar > 0) {
    const auto full = static_cast<std::size_t>(share * static_cast<double>(bar));
    line += " [" + std::string(full, '#') + std::string(bar - full, '.') + "]";
  }
  return line + tail;
}

ProgressBar::ProgressBar(int descriptor, std::chrono::milliseconds log_every)
    : descriptor_(descriptor), terminal_(::isatty(descriptor) == 1), log_every_(log_every) {
  const char* term = std::getenv("TERM");
  if (term != nullptr && std::string_view(term) == "dumb") terminal_ = false;
}

unsigned ProgressBar::columns() const {
  struct winsize size{};
  if (::ioctl(descriptor_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void ProgressBar::put(const std::string& text) const {
  // A progress line that cannot be written is no reason to stop a pull.
  static_cast<void>(write_all(FileHandle(::dup(descriptor_)), text, "progress"));
}

void ProgressBar::show(const Progress& progress) {
  if (terminal_) {
    // One column stays free: writing the last one would wrap in some terminals.
    put("\r" + progress_line(progress, columns() - 1) + "\x1b[K");
    drawn_ = true;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now - logged_ < log_every_ && progress.bytes_done != progress.bytes_total) return;
  logged_ = now;
  put(progress_line(progress, 100) + "\n");
}

void ProgressBar::note(const std::string& line) {
  put(drawn_ ? "\r\x1b[K" + line + "\n" : line + "\n");
  drawn_ = false;
}

void ProgressBar::finish() {
  if (drawn_) put("\n");
  drawn_ = false;
}

}  // namespace hf::registry
