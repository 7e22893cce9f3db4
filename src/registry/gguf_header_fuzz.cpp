#include <cstddef>
#include <cstdint>
#include <string_view>

#include "registry/gguf_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view head(reinterpret_cast<const char*>(bytes), size);
  // As a whole file, and as the head of a larger one.
  for (const auto file_bytes :
       {std::uint64_t{size}, std::uint64_t{size} + 4096, std::uint64_t{1} << 59U}) {
    const auto header = hf::registry::parse_gguf_header(head, file_bytes);
    if (!header) continue;
    const auto estimate = hf::registry::memory_estimate(*header, 4096, "q8_0");
    if (!estimate || estimate->total() < header->tensor_bytes) __builtin_trap();
    if (hf::registry::model_kind(*header).empty()) __builtin_trap();
  }
  return 0;
}
