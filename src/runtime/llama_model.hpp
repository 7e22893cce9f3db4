#pragma once
// libllama behind Runner, Tokenizer and Embedder. The only code that sees <llama.h>.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "runtime/runner.hpp"
#include "runtime/scheduler.hpp"

namespace hf::runtime {

struct LlamaOptions {
  std::string path;                   ///< GGUF file.
  std::uint32_t cells = 0;            ///< KV cells of the pool; 0: chosen from memory and model.
  std::uint32_t sequences_max = 256;  ///< libllama's own limit is 256.
  std::uint32_t rows_max = 2048;      ///< n_batch.
  std::uint32_t micro_rows = 512;     ///< n_ubatch.
  std::int32_t gpu_layers = -1;       ///< -1: all that fit; 0: none.
  std::uint32_t threads = 0;          ///< 0: measured (see calibration).
  std::string cache_type = "f16";     ///< KV type: f16, q8_0.
  std::uint64_t memory_bytes_max =
      0;  ///< Refuse to load if weights + cells need more; 0: free memory.
  bool use_mmap = true;
  std::string blas = "auto";  ///< BLAS back end: on, off, auto (where it pays).
};

struct LlamaFacts {
  std::string description;
  std::string architecture;
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;
  std::string chat_template;
  std::string bos_text;
  std::string eos_text;
  bool generates = false;
  bool embeds = false;  ///< Pooled embeddings make sense (encoder or trained with pooling).
  bool reranks = false;
  std::vector<std::string> devices;
};

/// One loaded model. Owns weights and contexts; the pieces it gives live as long as it.
class LlamaModel {
 public:
  using Progress = std::function<void(float fraction)>;
  /// Blocks for the load. Errors: not_found; data_corrupt, not a usable GGUF; resource_exhausted,
  /// too little memory (message has needed and free bytes); unimplemented, unknown architecture.
  static Result<std::unique_ptr<LlamaModel>> load(const LlamaOptions& options, Progress progress);
  virtual ~LlamaModel() = default;
  [[nodiscard]] virtual const LlamaFacts& facts() const = 0;
  [[nodiscard]] virtual const Tokenizer& tokenizer() const = 0;
  /// Null if the model does not generate / embed / rerank. Made on first use.
  virtual Runner* runner() = 0;
  virtual Embedder* embedder() = 0;
  virtual Embedder* reranker() = 0;
  /// Threads computing a step (decode / prompt). May be called between steps.
  virtual void set_threads(std::uint32_t decode, std::uint32_t prefill) = 0;
};

}  // namespace hf::runtime
