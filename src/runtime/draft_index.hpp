#pragma once
// Prompt lookup: guesses the next tokens from where the last few occurred before in the same text.
// Source: Saxena, "Prompt Lookup Decoding" (2023). Used by the scheduler. Threads: engine thread.

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/runner.hpp"

namespace hf::runtime {

class DraftIndex {
 public:
  static constexpr std::uint32_t kTokensMatched = 3;

  /// Takes in tokens added to `history` since the last call, which must be a beginning of it.
  void extend(std::span<const Token> history);
  /// Up to `count` tokens (`history` as in the last extend()) that followed the last occurrence of
  /// the text's last tokens.
  void guess(std::span<const Token> history, std::uint32_t count, std::vector<Token>& out) const;

  /// Notes whether the first guess before a token was right; only tokens with a guess count.
  void observe(bool right) { rate_ += (right ? 1.0 - rate_ : -rate_) * kLearning; }
  /// Share of guesses that were right lately.
  [[nodiscard]] double rate() const { return rate_; }

 private:
  static constexpr double kLearning = 0.1;
  [[nodiscard]] std::size_t slot(std::span<const Token> history, std::span<const Token> run) const;
  void grow(std::span<const Token> history);

  std::vector<std::uint32_t> follows_ = {};  // By hash of a run: the position after its last one.
  std::uint32_t indexed_ = 0;
  double rate_ = 0.5;
};

}  // namespace hf::runtime
