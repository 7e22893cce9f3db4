#pragma once
// What a GGUF file says about itself, read without libllama and without trusting the file: every
// count and size is checked against the file's length and fixed limits before it is used.
// Source: the GGUF specification, versions 2 and 3 (little-endian). Any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf::registry {

struct GgufHeader {
  std::uint32_t version = 0;
  std::string architecture = {};  ///< "llama", "qwen3", "bert".
  std::string name = {};          ///< general.name; may be empty.
  std::string licence = {};       ///< general.license; may be empty.
  std::string type = {};          ///< general.type: "model", "adapter" or empty.
  std::string size_label = {};    ///< "135M"; may be empty.
  std::string file_type = {};     ///< "Q4_K_M"; "unknown" when absent or newer than this program.
  std::uint64_t file_bytes = 0;
  std::uint64_t parameters = 0;  ///< Elements in all tensors.
  std::uint64_t tensor_bytes = 0;
  std::uint32_t tensors = 0;
  std::uint64_t context_tokens = 0;  ///< Trained context length; 0 when absent.
  std::uint32_t layers = 0;
  std::uint64_t embedding_size = 0;
  std::uint64_t feed_forward_size = 0;       ///< The widest layer's.
  std::uint32_t heads = 0;                   ///< The widest layer's.
  std::vector<std::uint32_t> kv_heads = {};  ///< One per layer.
  std::uint32_t key_size = 0;                ///< Elements of one head's key.
  std::uint32_t value_size = 0;              ///< Elements of one head's value.
  std::uint32_t kv_latent_size = 0;          ///< Latent attention (MLA): elements a cell and layer.
  std::uint32_t sliding_window_tokens = 0;   ///< 0: none.
  std::uint64_t vocabulary = 0;
  std::uint64_t chat_template_bytes = 0;  ///< 0: none.
  bool causal = true;                     ///< False for encoders such as BERT.
  std::string pooling = {};               ///< "", "none", "mean", "cls", "last" or "rank".
  std::string adapter_type = {};          ///< "lora"; empty when it is no adapter.
  std::string base_model = {};            ///< The first base model's name, where the file tells it.
};

/// Opens and reads the head of a file. Errors: not_found; data_corrupt, no GGUF, truncated or
/// hostile; unimplemented, big-endian, version 1 or one piece of a split model.
/// Cost: reads the metadata and tensor table only, some MB for large vocabularies.
Result<GgufHeader> read_gguf_header(const std::string& path);

/// The same from memory: `head` is the file's beginning, `file_bytes` its whole length.
Result<GgufHeader> parse_gguf_header(std::string_view head, std::uint64_t file_bytes);

/// "chat", "embedding", "rerank" or "adapter", as ModelRecord::kind has it.
std::string model_kind(const GgufHeader& header);

struct MemoryEstimate {
  std::uint64_t weights = 0;
  std::uint64_t kv = 0;
  std::uint64_t compute = 0;
  [[nodiscard]] std::uint64_t total() const { return weights + kv + compute; }
};

/// Bytes a model needs with `cells` KV cells of `cache_type` ("f32 f16 bf16 q8_0 q5_1 q5_0 q4_1
/// q4_0 iq4_nl"), rounded up, saturating. With b the type's bytes per element:
///   weights = all tensors
///   kv      = cells x sum over layers of kv_heads x (key_size + value_size) x b
///             (latent attention: cells x layers x latent x b); 0 for encoders. Sliding windows
///             are counted whole, so for such models this is an upper bound.
///   compute = 512 rows x 4 bytes x (8 embedding + 3 feed forward) + 256 output rows x 4 bytes x
///             vocabulary + the attention mask, 512 x cells x 2 bytes, + 16 MiB
/// Errors: invalid_argument, unknown cache type.
Result<MemoryEstimate> memory_estimate(const GgufHeader& header, std::uint64_t cells,
                                       std::string_view cache_type);

}  // namespace hf::registry
