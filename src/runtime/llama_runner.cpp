#include <algorithm>
#include <format>

#include "runtime/llama_parts.hpp"

namespace hf::runtime {

void LlamaBatch::add(const Row& row) {
  const auto at = static_cast<std::size_t>(batch_.n_tokens++);
  batch_.token[at] = row.token;
  batch_.pos[at] = static_cast<llama_pos>(row.position);
  batch_.n_seq_id[at] = 1;
  batch_.seq_id[at][0] = static_cast<llama_seq_id>(row.sequence);
  batch_.logits[at] = row.wants_logits ? 1 : 0;
}

namespace {

llama_seq_id native(SequenceId sequence) {
  return static_cast<llama_seq_id>(sequence);
}
llama_pos position(std::uint32_t tokens) {
  return static_cast<llama_pos>(tokens);
}

class LlamaRunner final : public Runner {
 public:
  LlamaRunner(llama_model* model, ContextPtr context, const RunnerFacts& facts)
      : model_(model),
        context_(std::move(context)),
        memory_(llama_get_memory(context_.get())),
        batch_(facts.rows_max),
        facts_(facts) {}

  ~LlamaRunner() override {
    context_.reset();
    for (auto* adapter : adapters_) {
      if (adapter != nullptr) llama_adapter_lora_free(adapter);
    }
  }
  LlamaRunner(const LlamaRunner&) = delete;
  LlamaRunner& operator=(const LlamaRunner&) = delete;

  [[nodiscard]] const RunnerFacts& facts() const override { return facts_; }

  Result<StepOutcome> step(std::span<const Row> rows) override {
    HF_ASSERT(!rows.empty() && rows.size() <= batch_.rows());
    HF_TRY_VOID(use_adapter(rows.front().adapter));
    batch_.clear();
    output_rows_.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      HF_ASSERT(rows[i].adapter == adapter_);
      batch_.add(rows[i]);
      if (rows[i].wants_logits) output_rows_.push_back(static_cast<std::int32_t>(i));
    }
    const auto code = llama_decode(context_.get(), batch_.native());
    if (code == 0) return StepOutcome::done;
    // A step of several micro-batches may have stored some rows before it stopped.
    forget_rows(rows);
    if (code == 1) return StepOutcome::no_cells;
    return fail(Errc::internal, "The model could not compute a step.",
                std::format("llama_decode {}", code));
  }

  std::span<float> logits(std::size_t output) override {
    auto* values = llama_get_logits_ith(context_.get(), output_rows_.at(output));
    HF_ASSERT(values != nullptr);
    return {values, facts_.vocabulary};
  }

  void share(SequenceId from, SequenceId to, std::uint32_t tokens) override {
    llama_memory_seq_cp(memory_, native(from), native(to), 0, position(tokens));
  }
  void share_range(SequenceId from, SequenceId to, std::uint32_t begin,
                   std::uint32_t end) override {
    llama_memory_seq_cp(memory_, native(from), native(to), position(begin), position(end));
  }
  void truncate(SequenceId sequence, std::uint32_t tokens) override {
    llama_memory_seq_rm(memory_, native(sequence), position(tokens), -1);
  }

  Result<std::vector<std::uint8_t>> save(SequenceId sequence) override {
    std::vector<std::uint8_t> saved(llama_state_seq_get_size(context_.get(), native(sequence)));
    const auto written =
        llama_state_seq_get_data(context_.get(), saved.data(), saved.size(), native(sequence));
    if (written == 0) return fail(Errc::resource_exhausted, "A sequence could not be saved.");
    saved.resize(written);
    return saved;
  }
  Result<void> restore(SequenceId sequence, std::span<const std::uint8_t> saved) override {
    if (llama_state_seq_set_data(context_.get(), saved.data(), saved.size(), native(sequence)) != 0)
      return {};
    truncate(sequence, 0);
    return fail(Errc::resource_exhausted, "No cells to restore a sequence.");
  }

  Result<AdapterId> load_adapter(const std::string& path, float scale) override {
    auto* adapter = llama_adapter_lora_init(model_, path.c_str());
    if (adapter == nullptr) {
      return fail(Errc::data_corrupt, "The adapter does not fit this model, or its file is broken.",
                  path);
    }
    adapters_.push_back(adapter);
    scales_.push_back(scale);
    return static_cast<AdapterId>(adapters_.size());
  }
  void unload_adapter(AdapterId adapter) override {
    if (adapter == 0 || adapter > adapters_.size() || adapters_[adapter - 1] == nullptr) return;
    if (adapter_ == adapter) (void)use_adapter(0);
    llama_adapter_lora_free(adapters_[adapter - 1]);
    adapters_[adapter - 1] = nullptr;
  }

 private:
  void forget_rows(std::span<const Row> rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i == 0 || rows[i].sequence != rows[i - 1].sequence)
        truncate(rows[i].sequence, rows[i].position);
    }
  }

  Result<void> use_adapter(AdapterId adapter) {
    if (adapter == adapter_) return {};
    llama_adapter_lora* wanted = nullptr;
    float scale = 1;
    if (adapter > 0) {
      HF_ASSERT(adapter <= adapters_.size() && adapters_[adapter - 1] != nullptr);
      wanted = adapters_[adapter - 1];
      scale = scales_[adapter - 1];
    }
    if (llama_set_adapters_lora(context_.get(), &wanted, wanted == nullptr ? 0 : 1, &scale) != 0) {
      return fail(Errc::internal, "The adapter could not be switched on.");
    }
    adapter_ = adapter;
    return {};
  }

  llama_model* model_;
  ContextPtr context_;
  llama_memory_t memory_;
  LlamaBatch batch_;
  RunnerFacts facts_;
  std::vector<std::int32_t> output_rows_;
  std::vector<llama_adapter_lora*> adapters_;  // Id n is at n - 1; null: unloaded.
  std::vector<float> scales_;
  AdapterId adapter_ = 0;
};

}  // namespace

namespace {

// GPU kernels of attention skip masked tiles; the CPU's look at every cell.
bool computes_on_gpu(const LlamaOptions& options) {
  if (options.gpu_layers == 0) return false;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    const auto type = ggml_backend_dev_type(ggml_backend_dev_get(i));
    if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU) return true;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<Runner>> make_llama_runner(llama_model* model, const LlamaOptions& options,
                                                  std::uint32_t cells,
                                                  llama_context** native_context) {
  auto params = llama_context_default_params();
  const auto sequences = std::min<std::uint32_t>(
      options.sequences_max, static_cast<std::uint32_t>(llama_max_parallel_sequences()));
  params.n_ctx = cells;
  params.n_batch = std::min(options.rows_max, cells);
  params.n_ubatch = std::min(options.micro_rows, params.n_batch);
  params.n_seq_max = sequences;
  params.n_outputs_max = std::min(sequences, params.n_batch);
  params.kv_unified = true;
  params.swa_full = true;
  params.no_perf = true;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_AUTO;
  if (options.cache_type == "q8_0") {
    params.type_k = GGML_TYPE_Q8_0;
    params.type_v = GGML_TYPE_Q8_0;
  } else if (options.cache_type != "f16") {
    return fail(Errc::invalid_argument,
                std::format("Cache type '{}' is unknown; use f16 or q8_0.", options.cache_type));
  }
  ContextPtr context(llama_init_from_model(model, params));
  if (context == nullptr) {
    return fail(
        Errc::resource_exhausted,
        std::format("No memory for {} KV cells; lower the engine's 'cells' setting.", cells));
  }
  RunnerFacts facts;
  facts.cells_total = llama_n_ctx(context.get());
  facts.sequences_max = sequences;
  facts.rows_max = llama_n_batch(context.get());
  facts.outputs_max = params.n_outputs_max;
  facts.context_train_tokens =
      static_cast<std::uint32_t>(std::max(0, llama_model_n_ctx_train(model)));
  facts.vocabulary = static_cast<std::uint32_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
  const bool recurrent = llama_model_is_recurrent(model) || llama_model_is_hybrid(model);
  facts.shares_prefixes = !recurrent;
  facts.truncates = !recurrent;
  facts.idle_cells_cost = !computes_on_gpu(options);
  *native_context = context.get();
  return std::make_unique<LlamaRunner>(model, std::move(context), facts);
}

}  // namespace hf::runtime
