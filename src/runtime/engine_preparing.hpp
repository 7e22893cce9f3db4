#pragma once
// The engine's prep threads: prompts to tokens, grammars compiled, so that the engine thread only
// computes. Also answers tokenize and detokenize. Used by engine_service.

#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/mutex.hpp"
#include "runtime/engine_service.hpp"
#include "runtime/prompt_builder.hpp"

namespace hf::runtime {

struct PreparingJob {
  std::variant<wire::Generate, wire::Embed, wire::Rerank, wire::Tokenize, wire::Detokenize> request;
  TimePoint arrived{};
  AdapterId adapter = 0;
};

/// Inputs of an embedding or rerank request as tokens.
struct EmbeddingJob {
  wire::RequestId id = 0;
  bool rerank = false;
  bool normalize = true;
  std::vector<std::vector<Token>> inputs = {};
};

using PreparedWork = std::variant<PreparedRequest, EmbeddingJob>;

/// Compiled grammars by their source, least recently used first out. Threads: any.
class GrammarCache {
 public:
  explicit GrammarCache(std::size_t capacity) : capacity_(capacity) {}
  /// Null for kind none. Errors: as grammar::compile.
  Result<std::shared_ptr<const grammar::Grammar>> get(const wire::Grammar& source);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const grammar::Grammar> grammar;
  };
  const std::size_t capacity_;
  Mutex mutex_;
  std::list<Entry> entries_ HF_GUARDED_BY(mutex_);  // Most recent first.
  std::unordered_map<std::string, std::list<Entry>::iterator> index_ HF_GUARDED_BY(mutex_);
};

/// Threads: submit, cancel and take_cancelled from the engine thread; callbacks on prep threads.
class PreparingPool {
 public:
  using Prepared = std::function<void(PreparedWork)>;
  using Answer = std::function<void(const wire::ToServer&)>;

  /// References must outlive the pool.
  PreparingPool(const Tokenizer& tokenizer, chat::FencedRenderer* renderer, std::string bos_text,
                std::uint32_t tokens_max, const EngineOptions& options, Prepared prepared,
                Answer answer);
  ~PreparingPool();
  PreparingPool(const PreparingPool&) = delete;
  PreparingPool& operator=(const PreparingPool&) = delete;

  /// False if too many wait already.
  [[nodiscard]] bool submit(PreparingJob job);
  /// Marks a request that is still being prepared.
  void cancel(wire::RequestId id);
  /// True once for a prepared request that was cancelled meanwhile.
  [[nodiscard]] bool take_cancelled(wire::RequestId id);

 private:
  void work();
  Result<void> prepare(PreparingJob& job);
  Result<void> prepare(const PreparingJob& job, wire::Generate& request);
  Result<void> prepare(const PreparingJob& job, wire::Embed& request);
  Result<void> prepare(const PreparingJob& job, wire::Rerank& request);
  Result<void> prepare(const PreparingJob& job, wire::Tokenize& request);
  Result<void> prepare(const PreparingJob& job, wire::Detokenize& request);

  const Tokenizer& tokenizer_;
  PromptBuilder builder_;
  GrammarCache grammars_;
  Prepared prepared_;
  Answer answer_;
  BoundedQueue<PreparingJob> queue_;
  Mutex mutex_;
  std::set<wire::RequestId> preparing_ HF_GUARDED_BY(mutex_);
  std::set<wire::RequestId> cancelled_ HF_GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

}  // namespace hf::runtime
