#pragma once
// The tensor and file types of GGUF with their sizes; used by gguf_header.cpp and the memory
// estimate. Any thread.

#include <cstdint>
#include <string>

namespace hf::registry {

struct TensorType {
  std::uint32_t block_elements = 1;
  std::uint32_t block_bytes = 0;  ///< 0: a type this program does not know.
};

/// By GGUF's number of the type.
TensorType tensor_type(std::uint32_t type);
/// "Q4_K_M" for 15; "unknown" for numbers it does not know.
std::string file_type_name(std::uint64_t type);

}  // namespace hf::registry
