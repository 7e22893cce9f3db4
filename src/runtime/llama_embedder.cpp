#include <algorithm>
#include <format>

#include "runtime/llama_parts.hpp"

namespace hf::runtime {
namespace {

constexpr std::uint32_t kRowsMax = 8192;
constexpr std::uint32_t kSequencesMax = 64;

class LlamaEmbedder final : public Embedder {
 public:
  LlamaEmbedder(ContextPtr context, std::uint32_t width, std::uint32_t tokens_max, bool encoder)
      : context_(std::move(context)),
        batch_(tokens_max),
        width_(width),
        tokens_max_(tokens_max),
        encoder_(encoder) {}

  [[nodiscard]] std::uint32_t width() const override { return width_; }
  [[nodiscard]] std::uint32_t tokens_max() const override { return tokens_max_; }

  Result<std::vector<std::vector<float>>> embed(
      std::span<const std::vector<Token>> inputs) override {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].empty()) {
        return fail(Errc::invalid_argument, std::format("Input {} is empty.", i));
      }
      if (inputs[i].size() > tokens_max_) {
        return fail(Errc::invalid_argument,
                    std::format("Input {} has {} tokens; this model reads {}.", i, inputs[i].size(),
                                tokens_max_));
      }
    }
    std::vector<std::vector<float>> vectors;
    for (std::size_t begin = 0; begin < inputs.size();) {
      std::size_t end = begin;
      std::size_t rows = 0;
      while (end < inputs.size() && end - begin < kSequencesMax &&
             rows + inputs[end].size() <= tokens_max_) {
        rows += inputs[end++].size();
      }
      HF_TRY_VOID(compute(inputs.subspan(begin, end - begin), vectors));
      begin = end;
    }
    return vectors;
  }

 private:
  Result<void> compute(std::span<const std::vector<Token>> inputs,
                       std::vector<std::vector<float>>& out) {
    batch_.clear();
    for (std::uint32_t sequence = 0; sequence < inputs.size(); ++sequence) {
      const auto& tokens = inputs[sequence];
      for (std::uint32_t i = 0; i < tokens.size(); ++i) {
        batch_.add({.token = tokens[i], .position = i, .sequence = sequence, .wants_logits = true});
      }
    }
    if (auto* memory = llama_get_memory(context_.get())) llama_memory_clear(memory, false);
    const auto code = encoder_ ? llama_encode(context_.get(), batch_.native())
                               : llama_decode(context_.get(), batch_.native());
    if (code != 0)
      return fail(Errc::internal, "The model could not embed.", std::format("code {}", code));
    for (std::uint32_t sequence = 0; sequence < inputs.size(); ++sequence) {
      const auto* values =
          llama_get_embeddings_seq(context_.get(), static_cast<llama_seq_id>(sequence));
      if (values == nullptr) return fail(Errc::internal, "The model gave no pooled vector.");
      out.emplace_back(values, values + width_);
    }
    return {};
  }

  ContextPtr context_;
  LlamaBatch batch_;
  std::uint32_t width_;
  std::uint32_t tokens_max_;
  bool encoder_;
};

}  // namespace

Result<std::unique_ptr<Embedder>> make_llama_embedder(llama_model* model,
                                                      enum llama_pooling_type pooling,
                                                      std::uint32_t threads) {
  const auto trained = static_cast<std::uint32_t>(std::max(1, llama_model_n_ctx_train(model)));
  auto params = llama_context_default_params();
  params.n_ctx = std::min(trained, kRowsMax);
  params.n_batch = params.n_ctx;
  params.n_ubatch = params.n_ctx;  // A pooled input cannot be cut.
  params.n_seq_max = kSequencesMax;
  params.kv_unified = true;
  params.embeddings = true;
  params.pooling_type = pooling;
  params.no_perf = true;
  if (threads > 0) {
    params.n_threads = static_cast<std::int32_t>(threads);
    params.n_threads_batch = static_cast<std::int32_t>(threads);
  }
  ContextPtr context(llama_init_from_model(model, params));
  if (context == nullptr)
    return fail(Errc::resource_exhausted, "No memory for the embedding context.");
  const bool rank = llama_pooling_type(context.get()) == LLAMA_POOLING_TYPE_RANK;
  const auto width = rank ? std::max(1U, llama_model_n_cls_out(model))
                          : static_cast<std::uint32_t>(llama_model_n_embd_out(model));
  const bool encoder = llama_model_has_encoder(model) && !llama_model_has_decoder(model);
  return std::make_unique<LlamaEmbedder>(std::move(context), width, params.n_ctx, encoder);
}

}  // namespace hf::runtime
