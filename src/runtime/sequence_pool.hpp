#pragma once
// The runner's sequences and cells: who holds them, which finished prefixes are kept for reuse and
// which of those go when room is needed. Used by the scheduler. Threads: engine thread.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/cell_ledger.hpp"
#include "runtime/prefix_archive.hpp"
#include "runtime/prefix_tree.hpp"
#include "runtime/runner.hpp"

namespace hf::runtime {

struct SequencePoolOptions {
  std::uint32_t cached_sequences_max = 64;
  std::uint64_t swap_bytes_max = std::uint64_t{4} << 30U;
  std::uint64_t cached_bytes_max = std::uint64_t{512} << 20U;  ///< Of prefixes in host memory.
};

class SequencePool {
 public:
  using Match = PrefixTree::Match;
  using Namespace = PrefixTree::Namespace;
  /// A sequence in host memory.
  struct Saved {
    std::vector<std::uint8_t> bytes = {};
    std::uint32_t tokens = 0;  ///< 0: nothing is saved.
  };

  SequencePool(Runner& runner, const SequencePoolOptions& options);

  [[nodiscard]] bool can_open() const { return !free_ids_.empty() || cached_ > 0; }
  /// An empty sequence that will hold `tokens`; evicts a cached one if no id is free. can_open()
  /// must hold. `order` rises from one call to the next.
  SequenceId open(const Namespace& key, std::span<const Token> tokens, std::uint64_t order);
  /// Forgets the sequence.
  void close(SequenceId sequence);
  /// Keeps it for reuse by its tokens (exactly those it has), where that is worth it.
  void close_cached(SequenceId sequence, std::span<const Token> tokens);

  /// Longest beginning of `tokens` that another sequence has computed.
  [[nodiscard]] Match find_computed(SequenceId self, std::span<const Token> tokens) const;
  /// The same, of what running sequences older than `self` will have computed.
  [[nodiscard]] Match find_coming(SequenceId self, std::span<const Token> tokens) const;
  /// As both, for a sequence that is not open yet; the longer of the two.
  [[nodiscard]] Match find(const Namespace& key, std::span<const Token> tokens) const;
  /// True while the sequence that was opened with `order` is still open.
  [[nodiscard]] bool is_open(SequenceId sequence, std::uint64_t order) const {
    return slots_[sequence].order == order;
  }
  [[nodiscard]] bool is_open(SequenceId sequence) const { return slots_[sequence].order > 0; }
  [[nodiscard]] std::uint64_t order(SequenceId sequence) const { return slots_[sequence].order; }
  /// Of the tokens of a match those that need no cells beyond the ones that are live or promised.
  [[nodiscard]] std::uint32_t shared_for_free(const Match& match) const {
    return is_open(match.sequence) ? match.tokens
                                   : ledger_.live_among(match.sequence, match.tokens);
  }
  void share(SequenceId from, SequenceId to, std::uint32_t tokens);
  /// How much of a beginning of `tokens` lies in host memory.
  [[nodiscard]] std::uint32_t find_archived(SequenceId self, std::span<const Token> tokens) const;
  /// Brings that into the empty sequence. 0: there is no room for it now.
  std::uint32_t take_archived(SequenceId sequence, std::span<const Token> tokens);
  /// Notes rows that the runner computed.
  void append(SequenceId sequence, std::uint32_t count) { ledger_.append(sequence, count); }
  void truncate(SequenceId sequence, std::uint32_t tokens);

  /// Drops the cached prefix that is worth least. False: there is none.
  bool evict_one();
  /// Evicts until `cells` are free. False: not enough even so.
  bool make_room(std::uint32_t cells);
  /// Drops cached prefixes of an adapter (UINT32_MAX: all).
  void forget(AdapterId adapter);

  /// Copies a sequence to host memory; nothing if that has no room or would cost more than
  /// computing it again.
  Saved save(SequenceId sequence);
  /// Brings it back and gives up the copy. False: not possible, it must be computed again.
  bool restore(SequenceId sequence, Saved& saved);
  /// Frees the copy.
  void discard(Saved& saved);

  [[nodiscard]] const CellLedger& cells() const { return ledger_; }
  [[nodiscard]] std::uint32_t sequences_used() const {
    return static_cast<std::uint32_t>(slots_.size() - free_ids_.size());
  }
  [[nodiscard]] std::uint32_t cached() const { return cached_; }
  [[nodiscard]] std::uint64_t swapped_bytes() const { return swapped_bytes_; }

 private:
  struct Slot {
    Namespace key = {};
    std::uint64_t order = 0;    // 0: not open (free or cached).
    std::uint32_t planned = 0;  // Tokens an open one will have.
    bool cached = false;
    std::uint64_t last_used = 0;  // Of cached ones: ticks.
    std::uint32_t hits = 0;
  };
  [[nodiscard]] double worth_dropping(SequenceId sequence) const;
  void archive(SequenceId sequence, std::span<const Token> tokens);
  void drop_cached(SequenceId sequence);

  Runner& runner_;
  SequencePoolOptions options_;
  CellLedger ledger_;
  PrefixTree tree_;
  PrefixArchive archive_;
  std::vector<Slot> slots_;
  std::vector<SequenceId> free_ids_;
  std::uint32_t cached_ = 0;
  std::uint64_t ticks_ = 0;
  std::uint64_t swapped_bytes_ = 0;
  double bytes_per_token_ = 0;  // Of the last save; 0: unknown.
};

}  // namespace hf::runtime
