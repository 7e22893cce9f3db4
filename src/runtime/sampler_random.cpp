#include <array>

#include "runtime/sampler.hpp"

namespace hf::runtime {

// Philox 4x32-10. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011; constants of section 4.3.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiply0 = 0xD2511F53;
  constexpr std::uint64_t kMultiply1 = 0xCD9E8D57;
  for (int round = 0; round < 10; ++round) {
    const auto left = kMultiply0 * counter[0];
    const auto right = kMultiply1 * counter[2];
    counter = {static_cast<std::uint32_t>(right >> 32U) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(right),
               static_cast<std::uint32_t>(left >> 32U) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(left)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

double uniform(std::uint64_t seed, std::uint32_t choice, std::uint64_t position) {
  const auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
  const auto drawn = philox({low(position), low(position >> 32U), choice, 0}, {low(seed), low(seed >> 32U)});
  const auto bits = (std::uint64_t{drawn[0]} << 21U) ^ (drawn[1] >> 11U);
  return static_cast<double>(bits & ((std::uint64_t{1} << 53U) - 1)) * 0x1.0p-53;
}

}  // namespace hf::runtime
