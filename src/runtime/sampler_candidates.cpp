#include "runtime/sampler_candidates.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace hf::runtime {
namespace {

struct Candidate {
  wire::Token token = 0;
  float logit = 0;
  double weight = 0;  // exp((logit - max) / temperature).
};

// Several independent sums let the compiler use vector registers.
float maximum(std::span<const float> values) {
  std::array<float, 16> lanes;
  lanes.fill(-INFINITY);
  std::size_t i = 0;
  for (; i + lanes.size() <= values.size(); i += lanes.size()) {
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  float best = *std::ranges::max_element(lanes);
  for (; i < values.size(); ++i) best = std::max(best, values[i]);
  return best;
}

// e^x for x <= 0 by 2^n * polynomial (Cephes' coefficients, relative error below 3e-7): unlike
// std::exp it is vectorised.
float fast_exp(float x) {
  x = x < -87.0F ? -87.0F : x;
  const float scaled = x * 1.44269504F;
  const auto n = static_cast<int>(scaled - 0.5F);
  const float f = (x - static_cast<float>(n) * 0.693359375F) + static_cast<float>(n) * 2.12194440e-4F;
  float y = 1.9875691500e-4F;
  y = y * f + 1.3981999507e-3F;
  y = y * f + 8.3334519073e-3F;
  y = y * f + 4.1665795894e-2F;
  y = y * f + 1.6666665459e-1F;
  y = y * f + 5.0000001201e-1F;
  y = y * f * f + f + 1.0F;
  return y * std::bit_cast<float>((n + 127) << 23);
}

double mass_of(std::span<const float> logits, float top, float inverse_temperature) {
  std::array<float, 16> lanes{};
  double total = 0;
  std::size_t i = 0;
  std::size_t block = 0;
  for (; i + lanes.size() <= logits.size(); i += lanes.size()) {
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
      lanes[lane] += fast_exp((logits[i + lane] - top) * inverse_temperature);
    }
    if (++block % 256 == 0) {  // Keeps float sums short.
      for (auto& lane : lanes) {
        total += static_cast<double>(lane);
        lane = 0;
      }
    }
  }
  for (const auto lane : lanes) total += static_cast<double>(lane);
  for (; i < logits.size(); ++i) total += static_cast<double>(fast_exp((logits[i] - top) * inverse_temperature));
  return total;
}

std::vector<Candidate> above(std::span<const float> logits, float threshold, float top, float inverse) {
  std::vector<Candidate> found;
  constexpr std::size_t kBlock = 64;
  for (std::size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const auto end = std::min(begin + kBlock, logits.size());
    bool any = false;
    for (std::size_t i = begin; i < end; ++i) any |= logits[i] >= threshold;
    if (!any) continue;
    for (std::size_t i = begin; i < end; ++i) {
      if (logits[i] >= threshold && logits[i] > -INFINITY) {
        found.push_back({static_cast<wire::Token>(i), logits[i],
                         std::exp(static_cast<double>((logits[i] - top) * inverse))});
      }
    }
  }
  return found;
}

void sort_by_weight(std::vector<Candidate>& candidates) {
  std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  });
}

double sum(const std::vector<Candidate>& candidates) {
  double total = 0;
  for (const auto& candidate : candidates) total += candidate.weight;
  return total;
}

// The k likeliest: a sample of the values gives a threshold that few tokens pass.
std::vector<Candidate> top_k(std::span<const float> logits, std::size_t k, float top, float inverse) {
  for (float reach = 8; ; reach *= 2) {
    auto found = above(logits, top - reach, top, inverse);
    const bool all = reach > 1e6F;
    if (found.size() < k && !all) continue;
    if (found.size() > k) {
      std::ranges::nth_element(found, found.begin() + static_cast<std::ptrdiff_t>(k),
                               [](const Candidate& a, const Candidate& b) {
                                 return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
                               });
      found.resize(k);
    }
    return found;
  }
}

// Smallest set of likeliest tokens whose mass reaches `share` of `total`: grows the reach below the
// maximum until the mass is there.
std::vector<Candidate> nucleus(std::span<const float> logits, double share, double total, float top,
                               float inverse) {
  for (float reach = 6 / inverse;; reach *= 2) {
    auto found = above(logits, top - reach, top, inverse);
    if (sum(found) < share * total && reach < 1e6F) continue;
    return found;
  }
}

void keep_nucleus(std::vector<Candidate>& sorted, double mass) {
  double total = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    total += sorted[i].weight;
    if (total >= mass) {
      sorted.resize(i + 1);
      return;
    }
  }
}

// Locally typical sampling (Meister et al. 2022): tokens whose surprise is nearest to the entropy.
void keep_typical(std::vector<Candidate>& candidates, double share) {
  const auto total = sum(candidates);
  double entropy = 0;
  for (const auto& candidate : candidates) {
    const auto p = candidate.weight / total;
    if (p > 0) entropy -= p * std::log(p);
  }
  const auto distance = [&](const Candidate& candidate) {
    return std::abs(-std::log(std::max(candidate.weight / total, 1e-300)) - entropy);
  };
  std::ranges::sort(candidates, [&](const Candidate& a, const Candidate& b) {
    const auto left = distance(a);
    const auto right = distance(b);
    return left != right ? left < right : a.token < b.token;
  });
  keep_nucleus(candidates, share * total);
}

wire::Token draw_from(const std::vector<Candidate>& candidates, double point) {
  double left = point * sum(candidates);
  for (const auto& candidate : candidates) {
    left -= candidate.weight;
    if (left < 0) return candidate.token;
  }
  return candidates.back().token;
}

}  // namespace

wire::Token argmax(std::span<const float> logits) {
  const auto top = maximum(logits);
  const auto found = std::ranges::find(logits, top);
  return found == logits.end() ? 0 : static_cast<wire::Token>(found - logits.begin());
}

wire::Token draw(std::span<const float> logits, const wire::Sampling& sampling, double point) {
  const auto top = maximum(logits);
  if (!std::isfinite(top)) return argmax(logits);
  const auto inverse = 1 / sampling.temperature;
  if (!std::isfinite(inverse)) return argmax(logits);
  std::vector<Candidate> candidates;
  if (sampling.top_k > 0) {
    candidates = top_k(logits, static_cast<std::size_t>(sampling.top_k), top, inverse);
  } else if (sampling.typical_p < 1) {
    candidates = above(logits, -std::numeric_limits<float>::max(), top, inverse);
  } else if (sampling.min_p > 0) {
    candidates = above(logits, top + std::log(sampling.min_p) / inverse, top, inverse);
  } else if (sampling.top_p < 1) {
    candidates = nucleus(logits, static_cast<double>(sampling.top_p), mass_of(logits, top, inverse), top, inverse);
  } else {
    candidates = nucleus(logits, 1 - 1e-7, mass_of(logits, top, inverse), top, inverse);
  }
  if (sampling.typical_p < 1) keep_typical(candidates, static_cast<double>(sampling.typical_p));
  sort_by_weight(candidates);
  if (sampling.top_p < 1) {
    // Without earlier cuts the mass is that of the whole vocabulary.
    const bool whole = sampling.top_k <= 0 && sampling.typical_p >= 1;
    const auto total = whole ? mass_of(logits, top, inverse) : sum(candidates);
    keep_nucleus(candidates, static_cast<double>(sampling.top_p) * total);
  }
  if (sampling.min_p > 0) {
    const auto least = static_cast<double>(sampling.min_p) * candidates.front().weight;
    std::erase_if(candidates, [least](const Candidate& candidate) { return candidate.weight < least; });
  }
  return draw_from(candidates, point);
}

wire::TokenLogprob logprobs_of(std::span<const float> logits, wire::Token token, std::size_t count) {
  const auto top = maximum(logits);
  const auto log_mass = static_cast<float>(std::log(mass_of(logits, top, 1)));
  const auto logprob = [&](float logit) { return std::max(logit - top - log_mass, -9999.0F); };
  wire::TokenLogprob out;
  out.token = token;
  out.logprob = logprob(logits[static_cast<std::size_t>(token)]);
  if (count == 0) return out;
  auto likeliest = top_k(logits, count, top, 1);
  sort_by_weight(likeliest);
  for (const auto& candidate : likeliest) {
    out.top.push_back({.token = candidate.token, .logprob = logprob(candidate.logit), .bytes = {}});
  }
  return out;
}

}  // namespace hf::runtime
