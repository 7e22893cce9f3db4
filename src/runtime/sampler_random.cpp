#include "runtime/sampler_random.hpp"

namespace hf::runtime {

// Philox 4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const auto first = std::uint64_t{0xD2511F53U} * counter[0];
    const auto second = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32U) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32U) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

std::array<double, 2> uniform_pair(std::uint64_t seed, std::uint32_t choice,
                                   std::uint64_t position) {
  const auto words =
      philox({static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32U),
              choice, 0},
             {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)});
  const auto to_unit = [](std::uint32_t high, std::uint32_t low) {
    const auto bits = (std::uint64_t{high} << 32U | low) >> 11U;
    return static_cast<double>(bits) * 0x1.0p-53;
  };
  return {to_unit(words[0], words[1]), to_unit(words[2], words[3])};
}

}  // namespace hf::runtime
