#include <algorithm>
#include <array>
#include <format>
#include <limits>
#include <numeric>
#include <utility>

#include "registry/gguf_header.hpp"
#include "registry/gguf_types.hpp"

namespace hf::registry {
namespace {

constexpr std::uint64_t kRows = 512;  // The physical batch that compute buffers are made for.
constexpr std::uint64_t kOutputRows = 256;  // One a sequence, of as many as libllama allows.
constexpr std::uint64_t kFixedBytes = 16U << 20U;

// Four saturated terms still add up without wrapping.
constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max() / 8;

std::uint64_t times(std::uint64_t left, std::uint64_t right) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(left, right, &product) ? kMost : std::min(product, kMost);
}

Result<TensorType> cache_element(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::uint32_t>, 9> kTypes = {
      {{"f32", 0},
       {"f16", 1},
       {"bf16", 30},
       {"q8_0", 8},
       {"q5_1", 7},
       {"q5_0", 6},
       {"q4_1", 3},
       {"q4_0", 2},
       {"iq4_nl", 20}}};
  for (const auto& [known, number] : kTypes) {
    if (known == name) return tensor_type(number);
  }
  return fail(
      Errc::invalid_argument,
      std::format("'{}' is no KV cache type; use f16, bf16, f32, q8_0, q5_1, q5_0, q4_1, q4_0 "
                  "or iq4_nl.",
                  name));
}

}  // namespace

Result<MemoryEstimate> memory_estimate(const GgufHeader& header, std::uint64_t cells,
                                       std::string_view cache_type) {
  const auto element = HF_TRY(cache_element(cache_type));
  MemoryEstimate estimate{.weights = header.tensor_bytes, .kv = 0, .compute = 0};
  if (header.causal) {
    const auto kv_heads =
        std::accumulate(header.kv_heads.begin(), header.kv_heads.end(), std::uint64_t{0});
    auto elements = times(kv_heads, std::uint64_t{header.key_size} + header.value_size);
    if (header.kv_latent_size != 0) elements = times(header.layers, header.kv_latent_size);
    const auto cell_bytes = (times(elements, element.block_bytes) + element.block_elements - 1) /
                            element.block_elements;
    estimate.kv = times(cells, cell_bytes);
  }
  const auto widths = 8 * header.embedding_size + 3 * header.feed_forward_size;
  const auto mask = header.causal ? times(cells, kRows * 2) : 0;
  estimate.compute = times(widths, kRows * 4) + times(header.vocabulary, kOutputRows * 4) + mask +
                     kFixedBytes;
  return estimate;
}

}  // namespace hf::registry
