#include "holdfast/line_reader.hpp"

#include <editline/readline.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

namespace hf::cli {
namespace {
constexpr int kHistoryEntries = 1000;
constexpr const char* kQuotes = "\"\"\"";
}  // namespace

LineReader::LineReader(std::string history_file)
    : history_file_(std::move(history_file)), interactive_(::isatty(STDIN_FILENO) == 1) {
  if (!interactive_) return;
  ::using_history();
  ::stifle_history(kHistoryEntries);
  ::read_history(history_file_.c_str());
}

LineReader::~LineReader() {
  if (interactive_) ::write_history(history_file_.c_str());
}

std::optional<std::string> LineReader::one_line(const char* prompt) {
  if (!interactive_) {
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  char* raw = ::readline(prompt);
  if (raw == nullptr) return std::nullopt;
  std::string line(raw);
  std::free(raw);
  return line;
}

std::optional<std::string> LineReader::read() {
  auto line = one_line("> ");
  if (!line) return std::nullopt;
  std::string text;
  if (line->starts_with(kQuotes)) {
    text = line->substr(3);
    while ((line = one_line("... ")) && !line->ends_with(kQuotes)) text += "\n" + *line;
    if (line) text += "\n" + line->substr(0, line->size() - 3);
  } else {
    text = *line;
    while (text.ends_with('\\')) {
      text.back() = '\n';
      line = one_line("... ");
      if (!line) break;
      text += *line;
    }
  }
  if (interactive_ && !text.empty()) ::add_history(text.c_str());
  return text;
}

}  // namespace hf::cli
