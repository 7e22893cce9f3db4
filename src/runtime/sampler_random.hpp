#pragma once
// The random numbers of sampling. Pure functions, any thread.

#include <array>
#include <cstdint>

namespace hf::runtime {

/// Philox 4x32-10. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

/// Two independent uniforms in [0, 1) of one position: the free pick and the pick under a mask.
std::array<double, 2> uniform_pair(std::uint64_t seed, std::uint32_t choice,
                                   std::uint64_t position);

}  // namespace hf::runtime
