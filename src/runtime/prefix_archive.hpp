#pragma once
// Finished prefixes in host memory. On a CPU every step looks at every occupied cell, if only to
// find it masked: cells that are kept for later make all steps slower, bytes in memory do not. Used
// by SequencePool. Threads: engine thread.

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "runtime/prefix_tree.hpp"

namespace hf::runtime {

class PrefixArchive {
 public:
  struct Entry {
    PrefixTree::Namespace key = {};
    std::vector<Token> tokens = {};
    std::vector<std::uint8_t> bytes = {};  ///< What Runner::save gave.
    std::uint64_t last_used = 0;           ///< In ticks.
    std::uint32_t hits = 0;
  };
  struct Found {
    const Entry* entry = nullptr;  ///< Until the next change; null: nothing.
    std::uint32_t tokens = 0;      ///< Of the beginning that both share.
  };

  PrefixArchive(std::uint32_t entries_max, std::uint64_t bytes_max)
      : entries_max_(entries_max), bytes_max_(bytes_max) {}

  /// Entries that are a beginning of the new one go; what is worth least goes where room is short.
  void add(const PrefixTree::Namespace& key, std::span<const Token> tokens,
           std::vector<std::uint8_t> bytes);
  /// The entry that shares the longest beginning. Cost: one comparison an entry, O(tokens) for
  /// those that begin alike.
  [[nodiscard]] Found find(const PrefixTree::Namespace& key, std::span<const Token> tokens) const;
  /// Notes that the entry was of use.
  void touch(const Entry* entry);
  /// Drops an adapter's entries (UINT32_MAX: all).
  void forget(AdapterId adapter);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  void drop(std::list<Entry>::iterator entry);
  void shrink();

  const std::uint32_t entries_max_;
  const std::uint64_t bytes_max_;
  std::list<Entry> entries_ = {};
  std::uint64_t bytes_ = 0;
  std::uint64_t ticks_ = 0;
};

}  // namespace hf::runtime
