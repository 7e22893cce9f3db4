#include "runtime/engine_preparing.hpp"

#include <format>

#include <pthread.h>

#include "chat/output_parser.hpp"

namespace hf::runtime {

Result<std::shared_ptr<const grammar::Grammar>> GrammarCache::get(const wire::Grammar& source) {
  if (source.kind == wire::GrammarKind::none) return nullptr;
  std::string key;
  wire::Generate keyed;
  keyed.grammar = source;
  keyed.grammar.triggers.clear();
  wire::encode(wire::ToEngine(keyed), key);
  {
    const Lock lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return found->second->grammar;
    }
  }
  auto compiled = HF_TRY(grammar::compile(source));
  const Lock lock(mutex_);
  if (index_.contains(key)) return compiled;
  entries_.push_front({key, compiled});
  index_[key] = entries_.begin();
  if (entries_.size() > capacity_) {
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
  return compiled;
}

PreparingPool::PreparingPool(const Tokenizer& tokenizer, chat::FencedRenderer* renderer,
                             std::string bos_text, std::uint32_t tokens_max,
                             const EngineOptions& options, Prepared prepared, Answer answer)
    : tokenizer_(tokenizer),
      builder_(tokenizer, renderer, std::move(bos_text), tokens_max),
      grammars_(options.grammar_cache),
      prepared_(std::move(prepared)),
      answer_(std::move(answer)),
      queue_(options.preparing_max) {
  for (std::uint32_t i = 0; i < options.preparing_threads; ++i) {
    threads_.emplace_back([this, i] {
      pthread_setname_np(pthread_self(), std::format("prep-{}", i).c_str());
      work();
    });
  }
}

PreparingPool::~PreparingPool() {
  queue_.close();
}

bool PreparingPool::submit(PreparingJob job) {
  const auto id = std::visit([](const auto& request) { return request.id; }, job.request);
  if (std::holds_alternative<wire::Generate>(job.request)) {
    const Lock lock(mutex_);
    preparing_.insert(id);
  }
  if (queue_.push(std::move(job))) return true;
  const Lock lock(mutex_);
  preparing_.erase(id);
  return false;
}

void PreparingPool::cancel(wire::RequestId id) {
  const Lock lock(mutex_);
  if (preparing_.contains(id)) cancelled_.insert(id);
}

bool PreparingPool::take_cancelled(wire::RequestId id) {
  const Lock lock(mutex_);
  preparing_.erase(id);
  return cancelled_.erase(id) != 0;
}

void PreparingPool::work() {
  while (auto job = queue_.pop()) {
    const auto id = std::visit([](const auto& request) { return request.id; }, job->request);
    const auto done = prepare(*job);
    if (done) continue;
    (void)take_cancelled(id);
    answer_(wire::Failed{id, done.error().code, done.error().message, done.error().param});
  }
}

Result<void> PreparingPool::prepare(PreparingJob& job) {
  return std::visit([this, &job](auto& request) { return prepare(job, request); }, job.request);
}

Result<void> PreparingPool::prepare(const PreparingJob& job, wire::Generate& request) {
  PreparedRequest prepared;
  prepared.grammar = HF_TRY(grammars_.get(request.grammar));
  if (request.resume_prompt.empty()) {
    auto built = HF_TRY(builder_.build(request.prompt));
    prepared.reasoning_open = chat::ends_in_reasoning(built.text);
    prepared.prompt = std::move(built.tokens);
  } else {
    prepared.prompt = std::move(request.resume_prompt);
  }
  prepared.adapter = job.adapter;
  prepared.arrived = job.arrived;
  request.prompt = {};
  prepared.request = std::move(request);
  prepared_(std::move(prepared));
  return {};
}

Result<void> PreparingPool::prepare(const PreparingJob& /*job*/, wire::Embed& request) {
  EmbeddingJob prepared{.id = request.id, .rerank = false, .normalize = request.normalize != 0};
  prepared.inputs = std::move(request.token_lists);
  for (const auto& text : request.texts) {
    prepared.inputs.push_back(HF_TRY(builder_.plain(text, true, false)));
  }
  prepared_(std::move(prepared));
  return {};
}

// A cross-encoder reads query and document as one input: [BOS] query [EOS][SEP] document [EOS].
Result<void> PreparingPool::prepare(const PreparingJob& /*job*/, wire::Rerank& request) {
  EmbeddingJob prepared{.id = request.id, .rerank = true, .normalize = false};
  const auto query = HF_TRY(builder_.plain(request.query, true, false));
  for (const auto& text : request.documents) {
    const auto document = HF_TRY(builder_.plain(text, true, false));
    prepared.inputs.push_back(tokenizer_.join_pair(query, document));
  }
  prepared_(std::move(prepared));
  return {};
}

Result<void> PreparingPool::prepare(const PreparingJob& /*job*/, wire::Tokenize& request) {
  wire::Tokens answer{.id = request.id};
  if (request.prompt.kind == wire::PromptKind::text) {
    answer.tokens = HF_TRY(builder_.plain(request.prompt.text, request.add_special != 0, true));
  } else {
    auto built = HF_TRY(builder_.build(request.prompt));
    answer.tokens = std::move(built.tokens);
    answer.text = std::move(built.text);
  }
  if (request.with_pieces != 0) {
    for (const auto token : answer.tokens) answer.pieces.push_back(tokenizer_.piece(token, true));
  }
  answer_(answer);
  return {};
}

Result<void> PreparingPool::prepare(const PreparingJob& /*job*/, wire::Detokenize& request) {
  HF_TRY(builder_.build(wire::Prompt{.kind = wire::PromptKind::tokens, .tokens = request.tokens}));
  wire::Tokens answer{.id = request.id};
  for (const auto token : request.tokens) answer.text += tokenizer_.piece(token, true);
  answer_(answer);
  return {};
}

}  // namespace hf::runtime
