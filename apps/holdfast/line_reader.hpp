#pragma once
// Lines from the terminal with editing and history (libedit), or plain lines from a pipe. Joins
// lines that end in a backslash and blocks between triple quotes. Threads: one.

#include <optional>
#include <string>

namespace hf::cli {

class LineReader {
 public:
  /// Keeps the last 1,000 entries in `history_file`.
  explicit LineReader(std::string history_file);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  /// Nothing at the end of input.
  std::optional<std::string> read();
  [[nodiscard]] bool interactive() const { return interactive_; }

 private:
  std::optional<std::string> one_line(const char* prompt);
  std::string history_file_;
  bool interactive_;
};

}  // namespace hf::cli
