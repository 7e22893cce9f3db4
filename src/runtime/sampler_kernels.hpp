#pragma once
// The hot loops over a vocabulary's logits, for what the processor has. Used by the sampler only.
// Pure functions, any thread.

#include <cstddef>

namespace hf::runtime::kernels {

inline constexpr std::size_t kBlock = 64;

/// Of each whole block replaces NaN by -inf and +inf by the largest float, and writes its maximum.
void clean_blocks(float* logits, std::size_t blocks, float* maxima);
/// Largest value; NaN counts as nothing; -inf for none.
float largest(const float* values, std::size_t count);
/// exp(x) for x <= 0; relative error below 2e-7, 0 below -87.
float exp_one(float x);
/// Sum of exp((value - max) * scale).
float weigh_block(const float* values, std::size_t count, float max, float scale);
/// The same, writing each weight.
double weigh_all(const float* values, std::size_t count, float max, float scale, float* weights);

}  // namespace hf::runtime::kernels
