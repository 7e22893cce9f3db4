#pragma once
// Selection among logits without sorting the vocabulary. Pure functions, any thread. Used by Sampler.

#include <cstddef>
#include <span>

#include "wire/messages.hpp"

namespace hf::runtime {

/// Index of the largest value; the lowest index of equals.
wire::Token argmax(std::span<const float> logits);

/// Draws by temperature, top_k, typical_p, top_p and min_p, in this order; `point` in [0, 1).
/// Cost: one pass for the maximum and the mass, then only tokens above a threshold are sorted.
wire::Token draw(std::span<const float> logits, const wire::Sampling& sampling, double point);

/// log softmax of the raw logits at `token`, with the `count` likeliest tokens, likeliest first.
wire::TokenLogprob logprobs_of(std::span<const float> logits, wire::Token token, std::size_t count);

}  // namespace hf::runtime
