#include "runtime/text_assembler.hpp"

#include <algorithm>

#include "base/utf8.hpp"

namespace hf::runtime {
namespace {

// Longest end of `text` that begins one of the stop strings without being whole.
std::size_t stop_beginning(std::string_view text, const std::vector<std::string>& stop) {
  std::size_t longest = 0;
  for (const auto& word : stop) {
    const auto most = std::min(word.size() - 1, text.size());
    for (std::size_t length = most; length > longest; --length) {
      if (std::string_view(word).starts_with(text.substr(text.size() - length))) {
        longest = length;
        break;
      }
    }
  }
  return longest;
}

}  // namespace

TextAssembler::TextAssembler(std::vector<std::string> stop) : stop_(std::move(stop)) {
  std::erase_if(stop_, [](const std::string& word) { return word.empty(); });
}

TextAssembler::Fed TextAssembler::feed(std::string_view bytes) {
  held_.append(bytes);
  // Earliest stop string; of two at one place, the first named.
  std::size_t found_at = std::string::npos;
  const std::string* found = nullptr;
  for (const auto& word : stop_) {
    const auto at = held_.find(word);
    if (at < found_at) {
      found_at = at;
      found = &word;
    }
  }
  if (found != nullptr) {
    Fed fed{utf8::repaired(std::string_view(held_).substr(0, found_at)), *found};
    held_.clear();
    return fed;
  }
  std::string text;
  auto rest = std::string_view(held_).substr(0, held_.size() - stop_beginning(held_, stop_));
  while (!rest.empty()) {
    const auto good = utf8::valid_prefix(rest);
    text.append(rest.substr(0, good));
    rest.remove_prefix(good);
    // What a held stop beginning follows directly can no longer be completed by it, unless the
    // character itself is cut there; wait for more bytes in both cases.
    if (rest.empty() || utf8::unfinished(rest)) break;
    // Broken for good: one replacement per maximal bad part.
    std::size_t bad = 1;
    while (bad < rest.size() && !utf8::unfinished(rest.substr(bad)) && utf8::valid_prefix(rest.substr(bad)) == 0) ++bad;
    text += utf8::repaired(rest.substr(0, bad));
    rest.remove_prefix(bad);
  }
  const auto consumed = static_cast<std::size_t>(rest.data() - held_.data());
  held_.erase(0, rest.empty() && rest.data() == nullptr ? held_.size() : consumed);
  return {std::move(text), std::nullopt};
}

std::string TextAssembler::finish() {
  auto text = utf8::repaired(held_);
  held_.clear();
  return text;
}

}  // namespace hf::runtime
