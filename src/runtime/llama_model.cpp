#include "runtime/llama_model.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <format>
#include <fstream>
#include <thread>

#include "base/log.hpp"
#include "registry/gguf_header.hpp"
#include "runtime/llama_parts.hpp"

namespace hf::runtime {
namespace {

constexpr std::uint64_t kCellBytesMax = std::uint64_t{2} << 30U;  // Pool chosen by default.
constexpr std::uint32_t kCellsMin = 4096;
constexpr std::uint32_t kCellsMax = 32'768;

std::uint64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  std::string unit;
  while (file >> key >> kib >> unit) {
    if (key == "MemAvailable:") return kib * 1024;
  }
  return std::uint64_t{1} << 40U;
}

std::string metadata(const llama_model* model, const char* key) {
  std::array<char, 256> text{};
  const auto length = llama_model_meta_val_str(model, key, text.data(), text.size());
  return length < 0 ? std::string() : std::string(text.data());
}

std::string token_text(const llama_vocab* vocabulary, llama_token token) {
  return token == LLAMA_TOKEN_NULL ? std::string()
                                   : std::string(llama_vocab_get_text(vocabulary, token));
}

LlamaFacts facts_of(const llama_model* model) {
  LlamaFacts facts;
  std::array<char, 256> text{};
  llama_model_desc(model, text.data(), text.size());
  facts.description = text.data();
  facts.architecture = metadata(model, "general.architecture");
  facts.parameters = llama_model_n_params(model);
  facts.weight_bytes = llama_model_size(model);
  if (const auto* source = llama_model_chat_template(model, nullptr)) facts.chat_template = source;
  const auto* vocabulary = llama_model_get_vocab(model);
  facts.bos_text = token_text(vocabulary, llama_vocab_bos(vocabulary));
  facts.eos_text = token_text(vocabulary, llama_vocab_eos(vocabulary));
  const auto pooling = metadata(model, (facts.architecture + ".pooling_type").c_str());
  const bool encoder_only = facts.architecture.contains("bert") || !llama_model_has_decoder(model);
  facts.reranks =
      pooling == "4" ||
      (encoder_only &&
       !metadata(model, (facts.architecture + ".classifier.output_labels").c_str()).empty());
  facts.generates = !encoder_only && pooling.empty();
  facts.embeds = !facts.reranks && !facts.generates;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    auto* device = ggml_backend_dev_get(i);
    facts.devices.push_back(
        std::format("{}: {}", ggml_backend_dev_name(device), ggml_backend_dev_description(device)));
  }
  return facts;
}

// Bytes of K and V per cell in f16: layers x 2 x KV heads x head size x 2 (q8_0 takes 17/32 of it).
std::uint64_t cell_bytes(const llama_model* model, const std::string& cache_type) {
  const auto heads = static_cast<std::uint64_t>(std::max(1, llama_model_n_head(model)));
  const auto kv_heads = static_cast<std::uint64_t>(std::max(1, llama_model_n_head_kv(model)));
  const auto width = static_cast<std::uint64_t>(std::max(1, llama_model_n_embd(model)));
  const auto layers = static_cast<std::uint64_t>(std::max(1, llama_model_n_layer(model)));
  const auto bytes = layers * 2 * kv_heads * std::max<std::uint64_t>(width / heads, 64) * 2;
  return cache_type == "q8_0" ? bytes * 17 / 32 : bytes;
}

std::uint32_t choose_cells(const llama_model* model, const LlamaOptions& options) {
  const auto round = [](std::uint64_t cells) {
    return static_cast<std::uint32_t>((cells + 255) / 256 * 256);
  };
  if (options.cells > 0) return round(options.cells);
  const auto memory = std::min(available_bytes() / 4, kCellBytesMax);
  const auto fitting = memory / cell_bytes(model, options.cache_type);
  return round(std::clamp<std::uint64_t>(fitting, kCellsMin, kCellsMax));
}

Result<registry::GgufHeader> check_file(const LlamaOptions& options) {
  std::error_code problem;
  const auto bytes = std::filesystem::file_size(options.path, problem);
  if (problem) {
    return fail(Errc::not_found, "The model's file is not there; pull or import it again.",
                options.path);
  }
  auto header = HF_TRY(registry::read_gguf_header(options.path));
  const auto limit = options.memory_bytes_max > 0 ? options.memory_bytes_max : available_bytes();
  const auto needed = bytes + (std::uint64_t{128} << 20U);
  if (needed > limit) {
    return fail(
        Errc::resource_exhausted,
        std::format("The model needs about {} MiB of memory and {} MiB are free; unload another "
                    "model or use a smaller one.",
                    needed >> 20U, limit >> 20U));
  }
  return header;
}

// BLAS turns quantised weights into floats at every step of 32 rows or more. On our own threads
// (blas_entry.cpp) a fast library gains all the same: a step of 512 rows takes 0.4 of the time with
// OpenBLAS and AVX-512, one of 32 rows 0.85. A reference library gains only with float weights.
bool wants_blas(const LlamaOptions& options, const registry::GgufHeader& header) {
  if (options.blas != "auto") return options.blas == "on";
  const bool floats =
      header.file_type == "F32" || header.file_type == "F16" || header.file_type == "BF16";
  return floats || has_fast_blas();
}

class LoadedModel final : public LlamaModel {
 public:
  LoadedModel(ModelPtr model, LlamaOptions options)
      : model_(std::move(model)),
        options_(std::move(options)),
        facts_(facts_of(model_.get())),
        tokenizer_(llama_model_get_vocab(model_.get())) {}

  [[nodiscard]] const LlamaFacts& facts() const override { return facts_; }
  [[nodiscard]] const Tokenizer& tokenizer() const override { return tokenizer_; }

  Runner* runner() override {
    if (!runner_ && facts_.generates && !runner_failed_) {
      auto made = make_llama_runner(model_.get(), options_, choose_cells(model_.get(), options_),
                                    &context_);
      if (made) {
        runner_ = std::move(*made);
      } else {
        runner_failed_ = true;
        log::failure("No context", made.error());
      }
    }
    return runner_.get();
  }
  Embedder* embedder() override {
    return facts_.embeds ? pooled(LLAMA_POOLING_TYPE_UNSPECIFIED) : nullptr;
  }
  Embedder* reranker() override {
    return facts_.reranks ? pooled(LLAMA_POOLING_TYPE_RANK) : nullptr;
  }

  void set_threads(std::uint32_t decode, std::uint32_t prefill) override {
    if (context_ != nullptr) {
      llama_set_n_threads(context_, static_cast<std::int32_t>(decode),
                          static_cast<std::int32_t>(prefill));
    }
    set_blas_threads(prefill);
  }

 private:
  Embedder* pooled(enum llama_pooling_type pooling) {
    if (!embedder_) {
      const auto threads = options_.threads > 0 ? options_.threads
                                                : std::max(1U, std::thread::hardware_concurrency());
      set_blas_threads(threads);
      auto made = make_llama_embedder(model_.get(), pooling, threads);
      if (!made) {
        log::failure("No embedding context", made.error());
        return nullptr;
      }
      embedder_ = std::move(*made);
    }
    return embedder_.get();
  }

  ModelPtr model_;
  LlamaOptions options_;
  LlamaFacts facts_;
  LlamaTokenizer tokenizer_;
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<Embedder> embedder_;
  llama_context* context_ = nullptr;  // Owned by runner_.
  bool runner_failed_ = false;
};

}  // namespace

Result<std::unique_ptr<LlamaModel>> LlamaModel::load(const LlamaOptions& options,
                                                     Progress progress) {
  const auto header = HF_TRY(check_file(options));
  start_back_ends();
  if (!wants_blas(options, header)) drop_blas();
  auto params = llama_model_default_params();
  params.n_gpu_layers = options.gpu_layers;
  params.load_mode = options.use_mmap ? LLAMA_LOAD_MODE_AUTO : LLAMA_LOAD_MODE_NONE;
  params.progress_callback = [](float fraction, void* user) {
    if (auto& told = *static_cast<Progress*>(user)) told(fraction);
    return true;
  };
  params.progress_callback_user_data = &progress;
  ModelPtr model(llama_model_load_from_file(options.path.c_str(), params));
  if (model == nullptr) {
    return fail(
        Errc::data_corrupt,
        "The model's file cannot be loaded: it is damaged or of a kind this version does not know.",
        options.path);
  }
  if (llama_model_has_encoder(model.get()) && llama_model_has_decoder(model.get())) {
    return fail(Errc::unimplemented, "Encoder-decoder models are not served; use a decoder model.");
  }
  return std::make_unique<LoadedModel>(std::move(model), options);
}

}  // namespace hf::runtime
