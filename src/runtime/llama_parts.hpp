#pragma once
// The pieces of LlamaModel and their native handles. Private to llama_*.cpp.

#include <memory>
#include <string>
#include <vector>

#include <ggml-backend.h>
#include <llama.h>

#include "runtime/llama_model.hpp"

namespace hf::runtime {

struct FreeModel {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct FreeContext {
  void operator()(llama_context* context) const { llama_free(context); }
};
using ModelPtr = std::unique_ptr<llama_model, FreeModel>;
using ContextPtr = std::unique_ptr<llama_context, FreeContext>;

/// A llama_batch with room for `rows`, one sequence a row.
class LlamaBatch {
 public:
  explicit LlamaBatch(std::uint32_t rows)
      : rows_(rows), batch_(llama_batch_init(static_cast<std::int32_t>(rows), 0, 1)) {}
  ~LlamaBatch() { llama_batch_free(batch_); }
  LlamaBatch(const LlamaBatch&) = delete;
  LlamaBatch& operator=(const LlamaBatch&) = delete;
  void clear() { batch_.n_tokens = 0; }
  void add(const Row& row);
  [[nodiscard]] llama_batch& native() { return batch_; }
  [[nodiscard]] std::uint32_t rows() const { return rows_; }

 private:
  std::uint32_t rows_;
  llama_batch batch_;
};

class LlamaTokenizer final : public Tokenizer {
 public:
  explicit LlamaTokenizer(const llama_vocab* vocabulary);
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text, bool add_special,
                                            bool parse_special) const override;
  [[nodiscard]] std::string piece(Token token, bool show_control) const override;
  [[nodiscard]] bool ends_generation(Token token) const override;
  [[nodiscard]] bool is_control(Token token) const override;
  [[nodiscard]] std::uint32_t vocabulary() const override;
  [[nodiscard]] std::vector<Token> join_pair(std::span<const Token> query,
                                             std::span<const Token> document) const override;

 private:
  const llama_vocab* vocabulary_;
};

/// Loads the back ends of this machine once per process and routes ggml's log.
void start_back_ends();
/// Takes the BLAS back end out, before any model is loaded.
void drop_blas();
/// True if the loaded BLAS back end computes with OpenBLAS.
bool has_fast_blas();
/// Threads of the BLAS back end, where it is installed.
void set_blas_threads(std::uint32_t threads);

Result<std::unique_ptr<Runner>> make_llama_runner(llama_model* model, const LlamaOptions& options,
                                                  std::uint32_t cells, llama_context** native);
Result<std::unique_ptr<Embedder>> make_llama_embedder(llama_model* model,
                                                      enum llama_pooling_type pooling,
                                                      std::uint32_t threads);

}  // namespace hf::runtime
