#include "runtime/text_assembler.hpp"

#include <algorithm>
#include <utility>

#include "base/utf8.hpp"

namespace hf::runtime {
namespace {

/// Length of the maximal broken part at the start of `bytes` (Unicode 3.9, as utf8::repaired).
std::size_t broken_length(std::string_view bytes) {
  std::size_t length = 1;
  while (length < bytes.size() && utf8::unfinished(bytes.substr(0, length + 1))) ++length;
  return length;
}

/// Length of the longest end of `text` that a longer `stop` begins with.
std::size_t begun_length(std::string_view text, std::string_view stop) {
  for (auto length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (stop.starts_with(text.substr(text.size() - length))) return length;
  }
  return 0;
}

}  // namespace

TextAssembler::TextAssembler(std::vector<std::string> stop) : stop_(std::move(stop)) {
  for (auto& text : stop_) text = utf8::repaired(text);
  std::erase_if(stop_, [](const std::string& text) { return text.empty(); });
}

void TextAssembler::take_characters(std::string_view bytes) {
  unfinished_ += bytes;
  std::string_view rest = unfinished_;
  while (!rest.empty()) {
    const auto whole = utf8::valid_prefix(rest);
    held_ += rest.substr(0, whole);
    rest.remove_prefix(whole);
    if (rest.empty() || utf8::unfinished(rest)) break;
    rest.remove_prefix(broken_length(rest));
    utf8::append(held_, U'\uFFFD');
  }
  unfinished_ = std::string(rest);
}

// The stop string that ends first wins, of those the one that begins first: so the outcome does
// not depend on how the bytes were cut into tokens.
TextAssembler::Fed TextAssembler::feed(std::string_view bytes) {
  take_characters(bytes);
  const std::string* found = nullptr;
  std::size_t found_begin = 0;
  std::size_t found_end = std::string::npos;
  for (const auto& stop : stop_) {
    const auto begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    const auto end = begin + stop.size();
    if (end > found_end || (end == found_end && begin >= found_begin)) continue;
    found = &stop;
    found_begin = begin;
    found_end = end;
  }
  if (found != nullptr) {
    Fed fed{.text = held_.substr(0, found_begin), .stop_string = *found};
    held_.clear();
    unfinished_.clear();
    return fed;
  }
  std::size_t kept = 0;
  for (const auto& stop : stop_) kept = std::max(kept, begun_length(held_, stop));
  Fed fed{.text = held_.substr(0, held_.size() - kept)};
  held_.erase(0, held_.size() - kept);
  return fed;
}

std::string TextAssembler::finish() {
  auto text = std::exchange(held_, {});
  return text + utf8::repaired(std::exchange(unfinished_, {}));
}

}  // namespace hf::runtime
