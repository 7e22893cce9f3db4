#include "registry/gguf_types.hpp"

#include <array>
#include <string_view>

namespace hf::registry {

TensorType tensor_type(std::uint32_t type) {
  // Withdrawn numbers have no size.
  static constexpr std::array<TensorType, 43> kTypes = {{
      {1, 4},      // f32
      {1, 2},      // f16
      {32, 18},    // q4_0
      {32, 20},    // q4_1
      {1, 0},      // withdrawn
      {1, 0},      // withdrawn
      {32, 22},    // q5_0
      {32, 24},    // q5_1
      {32, 34},    // q8_0
      {32, 36},    // q8_1
      {256, 84},   // q2_K
      {256, 110},  // q3_K
      {256, 144},  // q4_K
      {256, 176},  // q5_K
      {256, 210},  // q6_K
      {256, 292},  // q8_K
      {256, 66},   // iq2_xxs
      {256, 74},   // iq2_xs
      {256, 98},   // iq3_xxs
      {256, 50},   // iq1_s
      {32, 18},    // iq4_nl
      {256, 110},  // iq3_s
      {256, 82},   // iq2_s
      {256, 136},  // iq4_xs
      {1, 1},      // i8
      {1, 2},      // i16
      {1, 4},      // i32
      {1, 8},      // i64
      {1, 8},      // f64
      {256, 56},   // iq1_m
      {1, 2},      // bf16
      {1, 0},      // withdrawn
      {1, 0},      // withdrawn
      {1, 0},      // withdrawn
      {256, 54},   // tq1_0
      {256, 66},   // tq2_0
      {1, 0},      // withdrawn
      {1, 0},      // withdrawn
      {1, 0},      // withdrawn
      {32, 17},    // mxfp4
      {64, 36},    // nvfp4
      {128, 18},   // q1_0
      {64, 18},    // q2_0
  }};
  return type < kTypes.size() ? kTypes.at(type) : TensorType{};
}

std::string file_type_name(std::uint64_t type) {
  static constexpr std::array<std::string_view, 42> kNames = {
      "F32",   "F16",     "Q4_0",   "Q4_1",   "",       "",        "",       "Q8_0",   "Q5_0",
      "Q5_1",  "Q2_K",    "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S",  "Q4_K_M", "Q5_K_S", "Q5_K_M",
      "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",
      "IQ3_M", "IQ2_S",   "IQ2_M",  "IQ4_XS", "IQ1_M",  "BF16",    "",       "",       "",
      "TQ1_0", "TQ2_0",   "MXFP4",  "NVFP4",  "Q1_0",   "Q2_0"};
  if (type >= kNames.size() || kNames.at(type).empty()) return "unknown";
  return std::string(kNames.at(type));
}

}  // namespace hf::registry
