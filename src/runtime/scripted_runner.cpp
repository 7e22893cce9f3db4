#include "runtime/scripted_runner.hpp"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

namespace hf::runtime {

void ScriptedRunner::append(Held& held, Token token) {
  const auto cell = *free_.begin();
  free_.erase(free_.begin());
  holders_[cell] = 1;
  held.tokens.push_back(token);
  held.cells.push_back(cell);
}

void ScriptedRunner::compute(const Held& held) {
  std::vector<float> values(kVocabulary);
  script_(held.tokens, held.adapter, values);
  outputs_.push_back(std::move(values));
}

Result<StepOutcome> ScriptedRunner::step(std::span<const Row> rows) {
  EXPECT_FALSE(rows.empty());
  EXPECT_LE(rows.size(), facts_.rows_max);
  if (rows.size() + cells_unusable > free_.size()) return StepOutcome::no_cells;
  outputs_.clear();
  for (const auto& row : rows) {
    EXPECT_LT(row.sequence, facts_.sequences_max);
    EXPECT_EQ(row.adapter, rows.front().adapter) << "one adapter a step";
    auto& held = sequences_[row.sequence];
    EXPECT_EQ(row.position, held.tokens.size()) << "positions have no gaps";
    if (held.tokens.empty()) held.adapter = row.adapter;
    EXPECT_EQ(held.adapter, row.adapter) << "cells of another adapter";
    append(held, row.token);
    if (row.wants_logits) compute(held);
  }
  EXPECT_LE(outputs_.size(), facts_.outputs_max);
  steps.push_back({static_cast<std::uint32_t>(rows.size()),
                   static_cast<std::uint32_t>(outputs_.size()), rows.front().adapter});
  if (clock != nullptr) {
    const auto ms = cost_ms ? cost_ms(steps.back().rows) : 1.0;
    clock->advance(
        std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms)));
  }
  return StepOutcome::done;
}

void ScriptedRunner::share(SequenceId from, SequenceId to, std::uint32_t tokens) {
  EXPECT_FALSE(sequences_.contains(to)) << "share needs an empty target";
  share_range(from, to, 0, tokens);
}

void ScriptedRunner::share_range(SequenceId from, SequenceId to, std::uint32_t begin,
                                 std::uint32_t end) {
  EXPECT_TRUE(facts_.shares_prefixes);
  const auto& source = sequences_[from];
  auto& target = sequences_[to];
  ASSERT_LE(end, source.tokens.size()) << "only what exists can be shared";
  EXPECT_EQ(target.tokens.size(), begin);
  EXPECT_TRUE(std::ranges::equal(target.tokens, std::span(source.tokens).first(begin)));
  target.adapter = source.adapter;
  for (auto i = begin; i < end; ++i) {
    target.tokens.push_back(source.tokens[i]);
    target.cells.push_back(source.cells[i]);
    ++holders_[source.cells[i]];
  }
}

void ScriptedRunner::truncate(SequenceId sequence, std::uint32_t tokens) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  auto& held = found->second;
  EXPECT_TRUE(facts_.truncates || tokens == 0 || tokens >= held.tokens.size());
  while (held.tokens.size() > tokens) {
    if (--holders_[held.cells.back()] == 0) free_.insert(held.cells.back());
    held.tokens.pop_back();
    held.cells.pop_back();
  }
  if (held.tokens.empty()) sequences_.erase(found);
}

Result<std::vector<std::uint8_t>> ScriptedRunner::save(SequenceId sequence) {
  ++saves;
  const auto& held = sequences_[sequence];
  std::vector<std::uint8_t> bytes((held.tokens.size() + 1) * sizeof(Token));
  std::memcpy(bytes.data(), &held.adapter, sizeof(Token));
  std::memcpy(bytes.data() + sizeof(Token), held.tokens.data(), held.tokens.size() * sizeof(Token));
  return bytes;
}

Result<void> ScriptedRunner::restore(SequenceId sequence, std::span<const std::uint8_t> saved) {
  EXPECT_FALSE(sequences_.contains(sequence));
  const auto count = saved.size() / sizeof(Token) - 1;
  if (restores_fail || count > free_.size()) return fail(Errc::resource_exhausted, "no room");
  ++restores;
  auto& held = sequences_[sequence];
  std::memcpy(&held.adapter, saved.data(), sizeof(Token));
  for (std::size_t i = 0; i < count; ++i) {
    Token token = 0;
    std::memcpy(&token, saved.data() + (i + 1) * sizeof(Token), sizeof token);
    append(held, token);
  }
  return {};
}

}  // namespace hf::runtime
