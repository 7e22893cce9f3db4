#pragma once
// Picks the next token from logits: penalties, bias, temperature, top-k, top-p, min-p, typical (in
// this order, each on what the one before it left), grammar. Random numbers are a function of
// (seed, choice, position), so a resumed request and a request in any batch draw the same ones.

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/grammar.hpp"
#include "runtime/runner.hpp"
#include "wire/messages.hpp"

namespace hf::runtime {

struct Picked {
  Token token = 0;
  std::optional<wire::TokenLogprob> logprob = {};  ///< Without `bytes`; the caller adds them.
};

/// One choice of one request. Threads: one.
class Sampler {
 public:
  /// `prompt`: counted by repetition_penalty only.
  Sampler(const wire::Sampling& sampling, std::uint32_t choice, std::span<const Token> prompt);

  /// Picks for the position after all accepted tokens. Overwrites `logits`. With a matcher the
  /// result is a token the grammar allows: first the free pick is checked, and only on refusal the
  /// mask is applied. `banned` tokens get no chance. Does not change the sampler's state.
  /// Cost: O(vocabulary), one pass; no full sort.
  [[nodiscard]] Picked pick(std::span<float> logits, grammar::Matcher* matcher,
                            std::span<const Token> banned) const;
  /// Counts a token as output.
  void accept(Token token);
  /// True if logprobs, penalties and randomness are off: pick is argmax.
  [[nodiscard]] bool greedy() const;

 private:
  [[nodiscard]] bool changes_logits() const;
  void change(std::span<float> logits) const;

  wire::Sampling sampling_;
  std::uint32_t choice_;
  std::uint64_t position_ = 0;
  std::unordered_map<Token, std::uint32_t> prompt_counts_;
  std::unordered_map<Token, std::uint32_t> output_counts_;
};

}  // namespace hf::runtime
