#include "runtime/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/sampler_candidates.hpp"

namespace hf::runtime {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

}  // namespace

Sampler::Sampler(const wire::Sampling& sampling, std::uint32_t choice, std::span<const Token> prompt)
    : sampling_(sampling), choice_(choice) {
  if (sampling_.repetition_penalty != 1) {
    for (const auto token : prompt) ++prompt_counts_[token];
  }
}

bool Sampler::greedy() const {
  return sampling_.temperature <= 0 && sampling_.logprobs < 0 && sampling_.logit_bias.empty() &&
         sampling_.repetition_penalty == 1 && sampling_.presence_penalty == 0 &&
         sampling_.frequency_penalty == 0;
}

void Sampler::accept(Token token) {
  ++position_;
  ++output_counts_[token];
}

void Sampler::adjust(std::span<float> logits) const {
  const auto at = [&logits](Token token) -> float* {
    const auto index = static_cast<std::size_t>(token);
    return token >= 0 && index < logits.size() ? &logits[index] : nullptr;
  };
  if (sampling_.repetition_penalty != 1) {
    const auto repeat = [&](Token token) {
      if (auto* value = at(token)) {
        *value = *value > 0 ? *value / sampling_.repetition_penalty : *value * sampling_.repetition_penalty;
      }
    };
    for (const auto& [token, count] : prompt_counts_) repeat(token);
    for (const auto& [token, count] : output_counts_) {
      if (!prompt_counts_.contains(token)) repeat(token);
    }
  }
  if (sampling_.presence_penalty != 0 || sampling_.frequency_penalty != 0) {
    for (const auto& [token, count] : output_counts_) {
      if (auto* value = at(token)) {
        *value -= sampling_.presence_penalty + static_cast<float>(count) * sampling_.frequency_penalty;
      }
    }
  }
  for (const auto& bias : sampling_.logit_bias) {
    if (auto* value = at(bias.token)) *value = bias.bias <= -100 ? kBanned : *value + bias.bias;
  }
}

Token Sampler::choose(std::span<const float> logits) const {
  if (sampling_.temperature <= 0) return argmax(logits);
  return draw(logits, sampling_, uniform(sampling_.seed, choice_, position_));
}

Picked Sampler::pick(std::span<float> logits, grammar::Matcher* matcher,
                     std::span<const Token> banned) const {
  for (auto& value : logits) {
    if (std::isnan(value)) value = kBanned;
  }
  Picked picked;
  std::vector<float> raw;
  if (sampling_.logprobs >= 0) raw.assign(logits.begin(), logits.end());
  adjust(logits);
  for (const auto token : banned) logits[static_cast<std::size_t>(token)] = kBanned;
  picked.token = choose(logits);
  if (matcher != nullptr && !matcher->allows(picked.token)) {
    const auto mask = matcher->mask();
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if ((mask[i / 64] >> (i % 64) & 1U) == 0) logits[i] = kBanned;
    }
    picked.token = choose(logits);
  }
  if (sampling_.logprobs >= 0) {
    picked.logprob = logprobs_of(raw, picked.token, static_cast<std::size_t>(sampling_.logprobs));
  }
  return picked;
}

}  // namespace hf::runtime
