#pragma once
// Shows the progress of a pull: one line that is redrawn in a terminal, now and then a line in a
// log.

#include <chrono>
#include <string>

#include "registry/download.hpp"

namespace hf::registry {

/// One line without line end, at most `columns` wide (at least 20 are assumed), in ASCII.
/// Long names lose their middle; what does not fit is left out: bar, remaining time, speed.
std::string progress_line(const Progress& progress, unsigned columns);

/// Writes to one descriptor. Threads: one. Give `show` to PullWatch::on_progress.
class ProgressBar {
 public:
  /// `descriptor`: usually 2. `log_every`: between lines when it is no terminal.
  explicit ProgressBar(int descriptor,
                       std::chrono::milliseconds log_every = std::chrono::seconds(5));
  void show(const Progress& progress);
  /// A line of its own, above the bar.
  void note(const std::string& line);
  /// Ends the bar's line, if there is one. Call once the pull is over.
  void finish();

 private:
  void put(const std::string& text) const;
  [[nodiscard]] unsigned columns() const;

  int descriptor_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::milliseconds log_every_;
  std::chrono::steady_clock::time_point logged_ = {};
};

}  // namespace hf::registry
