#pragma once
// How much memory a model will take, before it is loaded. Used by EnginePool on its supervisor.

#include <cstdint>

#include "inference/engine_pool_options.hpp"

namespace hf::inference {

/// Bytes, never 0: options.estimate if set, else from the file's header, else from its size.
/// Cost: reads the head of the file, some MB for large vocabularies.
std::uint64_t load_estimate_bytes(const EnginePoolOptions& options,
                                  const registry::ModelRecord& record);

}  // namespace hf::inference
