#pragma once
// Which KV cells each sequence holds, so that the scheduler knows how many a step may take and how
// many dropping a sequence would give back. Mirrors what the runner does; cells are only numbers
// here. Used by the scheduler. Threads: engine thread.

#include <cstdint>
#include <vector>

#include "runtime/runner.hpp"

namespace hf::runtime {

class CellLedger {
 public:
  CellLedger(std::uint32_t cells_total, std::uint32_t sequences);

  [[nodiscard]] std::uint32_t free_cells() const {
    return static_cast<std::uint32_t>(free_.size());
  }
  [[nodiscard]] std::uint32_t used() const { return total_ - free_cells(); }
  /// Cells that no cached sequence alone holds: evicting all of those frees the others.
  [[nodiscard]] std::uint32_t live() const { return live_; }
  [[nodiscard]] std::uint32_t tokens(SequenceId sequence) const {
    return static_cast<std::uint32_t>(held_[sequence].size());
  }

  /// Takes `count` free cells, which must be there, for the sequence's next tokens.
  void append(SequenceId sequence, std::uint32_t count);
  /// As Runner::share_range from the sequence's present end.
  void share(SequenceId from, SequenceId to, std::uint32_t end);
  /// As Runner::truncate.
  void truncate(SequenceId sequence, std::uint32_t tokens);
  /// A sequence counts as live or as cached; new ones are live.
  void set_cached(SequenceId sequence, bool cached);
  /// Cells that only this sequence holds.
  [[nodiscard]] std::uint32_t exclusive(SequenceId sequence) const;
  /// Of its first `tokens` cells those that live sequences hold.
  [[nodiscard]] std::uint32_t live_among(SequenceId sequence, std::uint32_t tokens) const;

 private:
  struct Cell {
    std::uint16_t holders = 0;
    std::uint16_t live_holders = 0;  // At most holders.
  };
  void hold(std::uint32_t cell, bool cached);
  void drop(std::uint32_t cell, bool cached);

  std::uint32_t total_;
  std::uint32_t live_ = 0;  // Cells with live holders.
  std::vector<Cell> cells_;
  std::vector<std::uint32_t> free_;
  std::vector<std::vector<std::uint32_t>> held_;  // By sequence and position.
  std::vector<std::uint8_t> cached_;
};

}  // namespace hf::runtime
