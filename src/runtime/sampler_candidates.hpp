#pragma once
// One pass over a vocabulary's logits and what is chosen from them without sorting all: blocks
// know their maximum, so that a threshold visits only the few blocks that reach it. Used by
// Sampler. Threads: one per object.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/runner.hpp"
#include "runtime/sampler_kernels.hpp"

namespace hf::runtime {

/// Tokens in rising order of id with their logits.
struct Candidates {
  std::vector<Token> ids = {};
  std::vector<float> logits = {};
  std::vector<float> weights = {};  ///< exp((logit - max) / temperature), where computed.
  double mass = 0;                  ///< Sum of the weights.
  [[nodiscard]] std::size_t size() const { return ids.size(); }
};

class LogitScan {
 public:
  static constexpr std::size_t kBlock = kernels::kBlock;

  /// Replaces NaN by -inf and +inf by the largest float, and finds the blocks' maxima.
  /// `logits` must outlive the scan's use.
  void read(std::span<float> logits);
  [[nodiscard]] float max() const { return max_; }
  /// Lowest id that has the maximum.
  [[nodiscard]] Token argmax() const;
  /// Sum of exp((logit - max) / temperature) over all; remembers it per block for draw().
  double sum(float temperature);
  /// Token at `unit` (0..1) of the whole distribution. Needs sum().
  [[nodiscard]] Token draw(double unit, float temperature) const;
  /// All tokens with a logit of at least `threshold`.
  void gather(float threshold, Candidates& out) const;
  /// A threshold that at least `count` tokens reach, and not many more; -inf: all tokens.
  [[nodiscard]] float threshold_for(std::size_t count);
  [[nodiscard]] std::size_t size() const { return logits_.size(); }

 private:
  std::span<const float> logits_ = {};
  float max_ = 0;
  double total_ = 0;
  std::vector<float> block_max_ = {};
  std::vector<float> block_sum_ = {};
  std::vector<float> order_ = {};  // Scratch of threshold_for().
};

/// Lowest id that has the largest logit; NaN counts as nothing. Reads only.
Token argmax(std::span<const float> logits);
/// Fills weights and mass.
void weigh(Candidates& candidates, float max, float temperature);
/// Keeps the `count` best (of equal logits those with lower ids).
void keep_best(Candidates& candidates, std::size_t count);
/// Keeps the smallest set of best tokens whose weights sum to at least `mass`.
void keep_nucleus(Candidates& candidates, double mass);
/// Keeps logits of at least `threshold`.
void keep_above(Candidates& candidates, float threshold);
/// Locally typical sampling. Source: Meister et al. (2022): keeps the smallest set of tokens whose
/// surprise is nearest to the entropy and whose share reaches `typical_p`.
void keep_typical(Candidates& candidates, double typical_p);
/// Token at `unit` (0..1) of the candidates' mass.
Token draw(const Candidates& candidates, double unit);

}  // namespace hf::runtime
