#include "runtime/draft_index.hpp"

#include <algorithm>
#include <bit>

namespace hf::runtime {

// The run's slot: where it is, else an empty one, else one whose run is forgotten for it.
std::size_t DraftIndex::slot(std::span<const Token> history, std::span<const Token> run) const {
  constexpr std::size_t kProbes = 4;
  std::uint64_t hash = 0x9E3779B97F4A7C15U;
  for (const auto token : run) {
    hash = (hash ^ static_cast<std::uint32_t>(token)) * 0xFF51AFD7ED558CCDU;
    hash ^= hash >> 32U;
  }
  const auto mask = follows_.size() - 1;
  for (std::size_t i = 0; i < kProbes; ++i) {
    const auto at = (static_cast<std::size_t>(hash) + i) & mask;
    const auto end = follows_[at];
    if (end == 0 || std::ranges::equal(history.subspan(end - kTokensMatched, kTokensMatched), run))
      return at;
  }
  return static_cast<std::size_t>(hash) & mask;
}

// Room for twice the text, so that growing costs little.
void DraftIndex::grow(std::span<const Token> history) {
  follows_.assign(std::bit_ceil(history.size() * 4 + 64), 0);
  indexed_ = 0;
}

void DraftIndex::extend(std::span<const Token> history) {
  if (history.size() * 2 > follows_.size()) grow(history);
  // A run counts once its next token is known, so that a text's end is not its own guess.
  for (auto end = std::max(indexed_, kTokensMatched); end < history.size(); ++end) {
    follows_[slot(history, history.subspan(end - kTokensMatched, kTokensMatched))] = end;
    indexed_ = end + 1;
  }
}

void DraftIndex::guess(std::span<const Token> history, std::uint32_t count,
                       std::vector<Token>& out) const {
  out.clear();
  if (history.size() <= kTokensMatched || follows_.empty()) return;
  const auto last = history.last(kTokensMatched);
  const auto at = follows_[slot(history, last)];
  if (at == 0) return;
  if (!std::ranges::equal(history.subspan(at - kTokensMatched, kTokensMatched), last)) return;
  // Behind the text's end the guess follows itself: a short loop goes on as a loop.
  for (std::size_t i = at; out.size() < count; ++i) {
    out.push_back(i < history.size() ? history[i] : out[i - history.size()]);
  }
}

}  // namespace hf::runtime
