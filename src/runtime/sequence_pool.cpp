#include "runtime/sequence_pool.hpp"

#include <algorithm>
#include <utility>

namespace hf::runtime {
namespace {

constexpr std::uint32_t kCachedTokensMin = 16;  // Shorter prefixes are not worth an id.
constexpr std::uint32_t kSwapTokensMin = 32;    // Fewer are computed again faster than planned.
constexpr double kCellsEven = 64;  // Up to about this size prefixes are evicted by age alone.

}  // namespace

SequencePool::SequencePool(Runner& runner, const SequencePoolOptions& options)
    : runner_(runner),
      options_(options),
      ledger_(runner.facts().cells_total, runner.facts().sequences_max),
      tree_(runner.facts().sequences_max),
      archive_(options.cached_sequences_max, options.cached_bytes_max),
      slots_(runner.facts().sequences_max) {
  for (auto id = runner.facts().sequences_max; id > 0; --id) free_ids_.push_back(id - 1);
}

SequenceId SequencePool::open(const Namespace& key, std::span<const Token> tokens,
                              std::uint64_t order) {
  if (free_ids_.empty()) evict_one();
  HF_ASSERT(!free_ids_.empty());
  const auto id = free_ids_.back();
  free_ids_.pop_back();
  slots_[id] =
      Slot{.key = key, .order = order, .planned = static_cast<std::uint32_t>(tokens.size())};
  tree_.insert(key, tokens, id);
  return id;
}

void SequencePool::close(SequenceId sequence) {
  tree_.erase(sequence);
  if (ledger_.tokens(sequence) > 0) runner_.truncate(sequence, 0);
  ledger_.truncate(sequence, 0);
  ledger_.set_cached(sequence, false);
  slots_[sequence] = Slot{};
  free_ids_.push_back(sequence);
}

void SequencePool::close_cached(SequenceId sequence, std::span<const Token> tokens) {
  const bool worth = options_.cached_sequences_max > 0 && runner_.facts().shares_prefixes &&
                     tokens.size() >= kCachedTokensMin;
  if (!worth || find_computed(sequence, tokens).tokens == tokens.size()) {
    close(sequence);
    return;
  }
  if (runner_.facts().idle_cells_cost) {
    archive(sequence, tokens);
    close(sequence);
    return;
  }
  auto& slot = slots_[sequence];
  tree_.insert(slot.key, tokens, sequence);
  slot.order = 0;
  slot.cached = true;
  slot.last_used = ++ticks_;
  ++cached_;
  ledger_.set_cached(sequence, true);
  for (const auto covered : tree_.covered_by(sequence)) {
    if (!slots_[covered].cached) continue;
    slot.hits += slots_[covered].hits;
    drop_cached(covered);
  }
  while (cached_ > options_.cached_sequences_max) evict_one();
}

void SequencePool::archive(SequenceId sequence, std::span<const Token> tokens) {
  if (!runner_.facts().truncates || tokens.size() != ledger_.tokens(sequence)) return;
  // Copying all for a little more than what is known already does not pay.
  const auto known = std::max(find_computed(sequence, tokens).tokens,
                              archive_.find(slots_[sequence].key, tokens).tokens);
  if (tokens.size() - known < std::max<std::size_t>(kCachedTokensMin, tokens.size() / 8)) return;
  if (bytes_per_token_ * static_cast<double>(tokens.size()) >
      static_cast<double>(options_.cached_bytes_max)) {
    return;
  }
  auto bytes = runner_.save(sequence);
  if (!bytes) return;
  bytes_per_token_ = static_cast<double>(bytes->size()) / static_cast<double>(tokens.size());
  archive_.add(slots_[sequence].key, tokens, std::move(*bytes));
}

std::uint32_t SequencePool::find_archived(SequenceId self, std::span<const Token> tokens) const {
  return archive_.find(slots_[self].key, tokens).tokens;
}

std::uint32_t SequencePool::take_archived(SequenceId sequence, std::span<const Token> tokens) {
  const auto found = archive_.find(slots_[sequence].key, tokens);
  if (found.entry == nullptr || ledger_.tokens(sequence) > 0) return 0;
  const auto whole = static_cast<std::uint32_t>(found.entry->tokens.size());
  if (!make_room(whole) || !runner_.restore(sequence, found.entry->bytes)) return 0;
  archive_.touch(found.entry);
  ledger_.append(sequence, whole);
  truncate(sequence, found.tokens);
  return found.tokens;
}

SequencePool::Match SequencePool::find_computed(SequenceId self,
                                                std::span<const Token> tokens) const {
  return tree_.find(slots_[self].key, tokens,
                    [&](SequenceId id) { return id == self ? 0 : ledger_.tokens(id); });
}

SequencePool::Match SequencePool::find_coming(SequenceId self,
                                              std::span<const Token> tokens) const {
  const auto order = slots_[self].order;
  return tree_.find(slots_[self].key, tokens, [&](SequenceId id) {
    const auto& other = slots_[id];
    return other.order > 0 && other.order < order ? other.planned : 0;
  });
}

SequencePool::Match SequencePool::find(const Namespace& key, std::span<const Token> tokens) const {
  return tree_.find(key, tokens, [&](SequenceId id) {
    return slots_[id].order > 0 ? std::max(slots_[id].planned, ledger_.tokens(id))
                                : ledger_.tokens(id);
  });
}

void SequencePool::share(SequenceId from, SequenceId to, std::uint32_t tokens) {
  const auto begin = ledger_.tokens(to);
  if (begin >= tokens) return;
  if (begin == 0) {
    runner_.share(from, to, tokens);
  } else {
    runner_.share_range(from, to, begin, tokens);
  }
  ledger_.share(from, to, tokens);
  if (!slots_[from].cached) return;
  slots_[from].last_used = ++ticks_;
  ++slots_[from].hits;
}

void SequencePool::truncate(SequenceId sequence, std::uint32_t tokens) {
  if (ledger_.tokens(sequence) <= tokens) return;
  runner_.truncate(sequence, tokens);
  ledger_.truncate(sequence, tokens);
}

void SequencePool::drop_cached(SequenceId sequence) {
  --cached_;
  close(sequence);
}

// Least recently used first; of two of the same age the one that gives more cells back, and never
// hit ones before hit ones.
double SequencePool::worth_dropping(SequenceId sequence) const {
  const auto& slot = slots_[sequence];
  const auto age = static_cast<double>(ticks_ - slot.last_used + 1);
  return age * (kCellsEven + ledger_.exclusive(sequence)) / (1.0 + slot.hits);
}

bool SequencePool::evict_one() {
  std::optional<SequenceId> victim;
  double most = 0;
  for (SequenceId id = 0; id < slots_.size() && cached_ > 0; ++id) {
    if (!slots_[id].cached) continue;
    const auto worth = worth_dropping(id);
    if (victim && worth <= most) continue;
    victim = id;
    most = worth;
  }
  if (!victim) return false;
  drop_cached(*victim);
  return true;
}

bool SequencePool::make_room(std::uint32_t cells) {
  while (ledger_.free_cells() < cells) {
    if (!evict_one()) return false;
  }
  return true;
}

void SequencePool::forget(AdapterId adapter) {
  archive_.forget(adapter);
  for (SequenceId id = 0; id < slots_.size(); ++id) {
    if (slots_[id].cached && (adapter == UINT32_MAX || slots_[id].key.adapter == adapter))
      drop_cached(id);
  }
}

SequencePool::Saved SequencePool::save(SequenceId sequence) {
  Saved saved;
  const auto tokens = ledger_.tokens(sequence);
  if (options_.swap_bytes_max == 0 || ledger_.exclusive(sequence) < kSwapTokensMin) return saved;
  const auto room = static_cast<double>(options_.swap_bytes_max -
                                        std::min(swapped_bytes_, options_.swap_bytes_max));
  if (bytes_per_token_ * tokens > room) return saved;
  auto bytes = runner_.save(sequence);
  if (!bytes) return saved;
  bytes_per_token_ = static_cast<double>(bytes->size()) / tokens;
  if (static_cast<double>(bytes->size()) > room) return saved;
  swapped_bytes_ += bytes->size();
  saved.bytes = std::move(*bytes);
  saved.tokens = tokens;
  return saved;
}

bool SequencePool::restore(SequenceId sequence, Saved& saved) {
  const bool restored = ledger_.tokens(sequence) == 0 && make_room(saved.tokens) &&
                        runner_.restore(sequence, saved.bytes).has_value();
  if (restored) ledger_.append(sequence, saved.tokens);
  discard(saved);
  return restored;
}

void SequencePool::discard(Saved& saved) {
  swapped_bytes_ -= saved.bytes.size();
  saved = {};
}

}  // namespace hf::runtime
