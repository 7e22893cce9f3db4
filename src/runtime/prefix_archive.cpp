#include "runtime/prefix_archive.hpp"

#include <algorithm>
#include <utility>

namespace hf::runtime {
namespace {

std::uint32_t common(std::span<const Token> left, std::span<const Token> right) {
  const auto [at, ignored] = std::ranges::mismatch(left, right);
  return static_cast<std::uint32_t>(at - left.begin());
}

}  // namespace

void PrefixArchive::add(const PrefixTree::Namespace& key, std::span<const Token> tokens,
                        std::vector<std::uint8_t> bytes) {
  std::uint32_t hits = 0;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    if (entry->key == key && common(entry->tokens, tokens) == entry->tokens.size()) {
      hits += entry->hits;
      drop(entry);
    }
    entry = next;
  }
  bytes_ += bytes.size();
  entries_.push_back({.key = key,
                      .tokens = {tokens.begin(), tokens.end()},
                      .bytes = std::move(bytes),
                      .last_used = ++ticks_,
                      .hits = hits});
  shrink();
}

PrefixArchive::Found PrefixArchive::find(const PrefixTree::Namespace& key,
                                         std::span<const Token> tokens) const {
  Found best;
  for (const auto& entry : entries_) {
    if (entry.key != key) continue;
    const auto shared = common(entry.tokens, tokens);
    if (shared > best.tokens) best = {&entry, shared};
  }
  return best;
}

void PrefixArchive::touch(const Entry* entry) {
  const auto found = std::ranges::find(entries_, entry, [](const Entry& e) { return &e; });
  if (found == entries_.end()) return;
  found->last_used = ++ticks_;
  ++found->hits;
}

void PrefixArchive::forget(AdapterId adapter) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    if (adapter == UINT32_MAX || entry->key.adapter == adapter) drop(entry);
    entry = next;
  }
}

void PrefixArchive::drop(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes.size();
  entries_.erase(entry);
}

// Least recently used first, those of use later.
void PrefixArchive::shrink() {
  while (entries_.size() > entries_max_ || bytes_ > bytes_max_) {
    const auto age = [this](const Entry& entry) {
      return static_cast<double>(ticks_ - entry.last_used) / (1.0 + entry.hits);
    };
    drop(std::ranges::max_element(entries_, {}, age));
  }
}

}  // namespace hf::runtime
