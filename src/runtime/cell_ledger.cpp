#include "runtime/cell_ledger.hpp"

#include <algorithm>
#include <numeric>

namespace hf::runtime {

CellLedger::CellLedger(std::uint32_t cells_total, std::uint32_t sequences)
    : total_(cells_total),
      cells_(cells_total),
      free_(cells_total),
      held_(sequences),
      cached_(sequences) {
  std::iota(free_.rbegin(), free_.rend(), 0U);
}

void CellLedger::hold(std::uint32_t cell, bool cached) {
  auto& state = cells_[cell];
  ++state.holders;
  if (!cached && state.live_holders++ == 0) ++live_;
}

void CellLedger::drop(std::uint32_t cell, bool cached) {
  auto& state = cells_[cell];
  if (!cached && --state.live_holders == 0) --live_;
  if (--state.holders == 0) free_.push_back(cell);
}

void CellLedger::append(SequenceId sequence, std::uint32_t count) {
  HF_ASSERT(count <= free_.size());
  auto& held = held_[sequence];
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto cell = free_.back();
    free_.pop_back();
    hold(cell, cached_[sequence] != 0);
    held.push_back(cell);
  }
}

void CellLedger::share(SequenceId from, SequenceId to, std::uint32_t end) {
  HF_ASSERT(end <= held_[from].size() && from != to);
  auto& held = held_[to];
  for (auto i = held.size(); i < end; ++i) {
    hold(held_[from][i], cached_[to] != 0);
    held.push_back(held_[from][i]);
  }
}

void CellLedger::truncate(SequenceId sequence, std::uint32_t tokens) {
  auto& held = held_[sequence];
  while (held.size() > tokens) {
    drop(held.back(), cached_[sequence] != 0);
    held.pop_back();
  }
}

void CellLedger::set_cached(SequenceId sequence, bool cached) {
  if ((cached_[sequence] != 0) == cached) return;
  cached_[sequence] = cached ? 1 : 0;
  for (const auto cell : held_[sequence]) {
    auto& live_holders = cells_[cell].live_holders;
    if (cached && --live_holders == 0) --live_;
    if (!cached && live_holders++ == 0) ++live_;
  }
}

std::uint32_t CellLedger::exclusive(SequenceId sequence) const {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      held_[sequence], [this](std::uint32_t cell) { return cells_[cell].holders == 1; }));
}

std::uint32_t CellLedger::live_among(SequenceId sequence, std::uint32_t tokens) const {
  const auto& held = held_[sequence];
  const auto end = held.begin() + std::min<std::ptrdiff_t>(tokens, std::ssize(held));
  return static_cast<std::uint32_t>(std::count_if(
      held.begin(), end, [this](std::uint32_t cell) { return cells_[cell].live_holders > 0; }));
}

}  // namespace hf::runtime
