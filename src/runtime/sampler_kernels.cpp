#include "runtime/sampler_kernels.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>

namespace hf::runtime::kernels {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr std::size_t kLanes = 8;
// GCC and clang lower these to what the target has: two SSE2 or NEON registers, one AVX register.
// They never pass from function to function by value: that would change with the target.
using Floats [[gnu::vector_size(kLanes * sizeof(float))]] = float;
using Ints [[gnu::vector_size(kLanes * sizeof(float))]] = std::int32_t;

// The hot loops exist twice, also for processors with AVX2.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define HF_BY_PROCESSOR [[gnu::target_clones("arch=x86-64-v3", "default")]]
#else
#define HF_BY_PROCESSOR
#endif

[[gnu::always_inline]] inline void load(const float* from, Floats& out) {
  std::memcpy(&out, from, sizeof out);
}

// exp(x) for x <= 0, relative error below 2e-7; 0 below -87. Cody-Waite reduction and the Taylor
// polynomial to the sixth power on [-ln2/2, ln2/2].
[[gnu::always_inline]] inline void exp_falling(Floats& x) {
  const Floats low = Floats{} - 87.0F;
  const Ints alive = x > low;
  x = alive ? x : low;
  const Floats shift = Floats{} + 12582912.0F;  // 1.5 * 2^23: rounds to the nearest integer.
  const Floats shifted = x * 1.44269504F + shift;
  const Floats n = shifted - shift;
  const Floats r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Floats p = r * (1.0F / 720) + (1.0F / 120);
  p = p * r + (1.0F / 24);
  p = p * r + (1.0F / 6);
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats scale;
  std::memcpy(&scale, &power, sizeof scale);
  p *= scale;
  x = alive ? p : Floats{};
}

[[gnu::always_inline]] inline float horizontal_sum(const Floats& v) {
  float sum = 0;
  for (std::size_t i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

// Cleans one whole block in place and gives its maximum.
[[gnu::always_inline]] inline float clean_block(float* block) {
  Floats top = Floats{} + kNever;
  for (std::size_t i = 0; i < kBlock; i += kLanes) {
    Floats v;
    load(block + i, v);
    v = v == v ? v : Floats{} + kNever;
    v = v > kLargest ? Floats{} + kLargest : v;
    std::memcpy(block + i, &v, sizeof v);
    top = v > top ? v : top;
  }
  float best = kNever;
  for (std::size_t i = 0; i < kLanes; ++i) best = std::max(best, top[i]);
  return best;
}

}  // namespace

float exp_one(float x) {
  Floats lanes = Floats{} + x;
  exp_falling(lanes);
  return lanes[0];
}

HF_BY_PROCESSOR void clean_blocks(float* logits, std::size_t blocks, float* maxima) {
  for (std::size_t b = 0; b < blocks; ++b) maxima[b] = clean_block(logits + b * kBlock);
}

HF_BY_PROCESSOR float weigh_block(const float* block, std::size_t count, float max, float scale) {
  Floats sum{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Floats v;
    load(block + i, v);
    v = (v - max) * scale;
    exp_falling(v);
    sum += v;
  }
  float rest = 0;
  for (; i < count; ++i) rest += exp_one((block[i] - max) * scale);
  return horizontal_sum(sum) + rest;
}

HF_BY_PROCESSOR double weigh_all(const float* logits, std::size_t count, float max, float scale,
                                 float* weights) {
  double mass = 0;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Floats v;
    load(logits + i, v);
    v = (v - max) * scale;
    exp_falling(v);
    std::memcpy(weights + i, &v, sizeof v);
    mass += double{horizontal_sum(v)};
  }
  for (; i < count; ++i) {
    weights[i] = exp_one((logits[i] - max) * scale);
    mass += double{weights[i]};
  }
  return mass;
}

HF_BY_PROCESSOR float largest(const float* values, std::size_t count) {
  std::array<Floats, 4> tops;
  tops.fill(Floats{} + kNever);
  std::size_t i = 0;
  for (; i + tops.size() * kLanes <= count; i += tops.size() * kLanes) {
    for (std::size_t k = 0; k < tops.size(); ++k) {
      Floats v;
      load(values + i + k * kLanes, v);
      tops[k] = v > tops[k] ? v : tops[k];
    }
  }
  float top = kNever;
  for (const auto& lanes : tops) {
    for (std::size_t k = 0; k < kLanes; ++k) top = std::max(top, lanes[k]);
  }
  for (; i < count; ++i) top = values[i] > top ? values[i] : top;
  return top;
}

}  // namespace hf::runtime::kernels
