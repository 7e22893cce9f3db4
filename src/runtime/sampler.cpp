#include "runtime/sampler.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "runtime/sampler_candidates.hpp"
#include "runtime/sampler_random.hpp"

namespace hf::runtime {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kBanBias = -100;
constexpr float kLogprobMin = -9999;      // What OpenAI shows for impossible tokens.
constexpr float kTemperatureMin = 1e-5F;  // Below: greedy; 1 / temperature stays finite.

// Large buffers, kept between tokens; one set a thread, whatever the number of samplers.
struct Scratch {
  LogitScan scan;
  Candidates candidates;
  std::vector<float> raw;
};

Scratch& scratch() {
  thread_local Scratch buffers;
  return buffers;
}

bool in_range(Token token, std::span<const float> logits) {
  return token >= 0 && static_cast<std::size_t>(token) < logits.size();
}

void ban(std::span<float> logits, std::span<const Token> tokens) {
  for (const auto token : tokens) {
    if (in_range(token, logits)) logits[static_cast<std::size_t>(token)] = kNever;
  }
}

void add_bias(std::span<float> logits, std::span<const wire::LogitBias> biases) {
  for (const auto& [token, bias] : biases) {
    if (!in_range(token, logits)) continue;
    auto& logit = logits[static_cast<std::size_t>(token)];
    logit = bias <= kBanBias ? kNever : logit + bias;
  }
}

void apply_mask(std::span<float> logits, std::span<const std::uint64_t> mask) {
  for (std::size_t i = 0; i < logits.size(); i += 64) {
    const auto word = i / 64 < mask.size() ? mask[i / 64] : 0;
    if (word == ~std::uint64_t{0}) continue;
    const auto end = std::min(i + 64, logits.size());
    for (auto t = i; t < end; ++t) {
      if ((word >> (t - i) & 1U) == 0) logits[t] = kNever;
    }
  }
}

/// Lowest token the mask allows; `otherwise` if there is none.
Token first_allowed(std::span<const std::uint64_t> mask, Token otherwise) {
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] != 0)
      return static_cast<Token>(i * 64 + static_cast<std::size_t>(std::countr_zero(mask[i])));
  }
  return otherwise;
}

void penalise(float& logit, float penalty) {
  logit = logit > 0 ? logit / penalty : logit * penalty;
}

// The smallest part of the vocabulary that surely holds the outcome of the cheap filters.
void gather_nucleus(LogitScan& scan, const wire::Sampling& s, Candidates& out) {
  const double mass = scan.sum(s.temperature) * double{s.top_p};
  for (const std::size_t count : {32UL, 256UL, 1024UL, ~0UL}) {
    scan.gather(scan.threshold_for(count), out);
    weigh(out, scan.max(), s.temperature);
    if (out.mass >= mass) break;
  }
  keep_nucleus(out, mass);
}

Token choose(LogitScan& scan, const wire::Sampling& s, double unit) {
  if (scan.max() == kNever || s.temperature < kTemperatureMin) return scan.argmax();
  const float min_p_threshold =
      s.min_p > 0 ? scan.max() + s.temperature * std::log(s.min_p) : kNever;
  auto& candidates = scratch().candidates;
  if (s.top_k > 0 && static_cast<std::size_t>(s.top_k) < scan.size()) {
    const auto count = static_cast<std::size_t>(s.top_k);
    scan.gather(scan.threshold_for(count), candidates);
    keep_best(candidates, count);
    weigh(candidates, scan.max(), s.temperature);
    if (s.top_p < 1) keep_nucleus(candidates, candidates.mass * double{s.top_p});
  } else if (s.top_p < 1) {
    gather_nucleus(scan, s, candidates);
  } else if (s.min_p > 0 || s.typical_p < 1) {
    scan.gather(min_p_threshold, candidates);
    weigh(candidates, scan.max(), s.temperature);
  } else {
    scan.sum(s.temperature);
    return scan.draw(unit, s.temperature);
  }
  if (s.min_p > 0) keep_above(candidates, min_p_threshold);
  if (s.typical_p < 1) keep_typical(candidates, double{s.typical_p});
  return candidates.size() == 0 ? scan.argmax() : draw(candidates, unit);
}

/// Alternatives and log(sum(exp)) of the model's own distribution.
struct RawDistribution {
  double log_sum = 0;
  std::vector<wire::TopLogprob> top = {};
  [[nodiscard]] float logprob(float logit) const {
    const auto value = static_cast<float>(double{logit} - log_sum);
    return value > kLogprobMin ? value : kLogprobMin;
  }
};

RawDistribution read_raw(std::span<float> logits, std::size_t alternatives) {
  auto& [scan, candidates, raw] = scratch();
  scan.read(logits);
  RawDistribution out;
  raw.assign(logits.begin(), logits.end());
  if (scan.max() == kNever) return out;
  out.log_sum = double{scan.max()} + std::log(scan.sum(1));
  if (alternatives == 0) return out;
  scan.gather(scan.threshold_for(alternatives), candidates);
  keep_best(candidates, alternatives);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    out.top.push_back({candidates.ids[i], out.logprob(candidates.logits[i]), {}});
  }
  std::ranges::stable_sort(out.top, std::greater{}, &wire::TopLogprob::logprob);
  return out;
}

}  // namespace

Sampler::Sampler(const wire::Sampling& sampling, std::uint32_t choice,
                 std::span<const Token> prompt)
    : sampling_(sampling), choice_(choice) {
  if (sampling_.repetition_penalty == 1) return;
  for (const auto token : prompt) ++prompt_counts_[token];
}

bool Sampler::greedy() const {
  return sampling_.temperature < kTemperatureMin && sampling_.logprobs < 0 && !changes_logits();
}

bool Sampler::changes_logits() const {
  return sampling_.repetition_penalty != 1 || sampling_.presence_penalty != 0 ||
         sampling_.frequency_penalty != 0 || !sampling_.logit_bias.empty();
}

void Sampler::accept(Token token) {
  ++position_;
  if (changes_logits()) ++output_counts_[token];
}

void Sampler::change(std::span<float> logits) const {
  if (sampling_.repetition_penalty != 1) {
    for (const auto& [token, count] : prompt_counts_) {
      if (!in_range(token, logits)) continue;
      penalise(logits[static_cast<std::size_t>(token)], sampling_.repetition_penalty);
    }
  }
  for (const auto& [token, count] : output_counts_) {
    if (!in_range(token, logits)) continue;
    auto& logit = logits[static_cast<std::size_t>(token)];
    if (sampling_.repetition_penalty != 1 && !prompt_counts_.contains(token)) {
      penalise(logit, sampling_.repetition_penalty);
    }
    logit -= static_cast<float>(count) * sampling_.frequency_penalty + sampling_.presence_penalty;
  }
  add_bias(logits, sampling_.logit_bias);
}

Picked Sampler::pick(std::span<float> logits, grammar::Matcher* matcher,
                     std::span<const Token> banned) const {
  if (logits.empty()) return {};
  if (banned.empty() && greedy()) {
    const Picked best{.token = argmax(logits)};
    if (matcher == nullptr || matcher->allows(best.token)) return best;
  }
  std::optional<RawDistribution> raw;
  if (sampling_.logprobs >= 0) raw = read_raw(logits, static_cast<std::size_t>(sampling_.logprobs));
  change(logits);
  ban(logits, banned);
  auto& scan = scratch().scan;
  scan.read(logits);
  const auto units = uniform_pair(sampling_.seed, choice_, position_);
  Picked picked{.token = choose(scan, sampling_, units[0])};
  if (matcher != nullptr && !matcher->allows(picked.token)) {
    // A draw of its own: with the first one, what was refused would lean on where it fell.
    const auto mask = matcher->mask();
    apply_mask(logits, mask);
    scan.read(logits);
    picked.token = scan.max() == kNever ? first_allowed(mask, picked.token)
                                        : choose(scan, sampling_, units[1]);
  }
  if (raw) {
    const auto logit = scratch().raw[static_cast<std::size_t>(picked.token)];
    picked.logprob = {.token = picked.token,
                      .logprob = raw->logprob(logit),
                      .bytes = {},
                      .top = std::move(raw->top)};
  }
  return picked;
}

}  // namespace hf::runtime
