#include "inference/load_estimate.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "registry/gguf_header.hpp"

namespace hf::inference {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
/// The engine chooses its cells by what is free; beyond this it is not held to need them.
constexpr std::uint64_t kCellsAssumed = 16384;
constexpr std::uint64_t kProcessBytes = 64 * kMiB;

}  // namespace

std::uint64_t load_estimate_bytes(const EnginePoolOptions& options,
                                  const registry::ModelRecord& record) {
  if (options.estimate) return std::max<std::uint64_t>(1, options.estimate(record));
  const auto header = registry::read_gguf_header(record.path);
  if (header) {
    const auto cells = options.cells > 0 ? std::uint64_t{options.cells}
                                         : std::min(header->context_tokens, kCellsAssumed);
    const auto estimate = registry::memory_estimate(*header, cells, "f16");
    if (estimate) return estimate->total() + kProcessBytes;
  } else {
    log::failure("memory estimate", header.error());
  }
  return record.bytes + record.bytes / 5 + 256 * kMiB;
}

}  // namespace hf::inference
