#include "runtime/engine_embedding.hpp"

#include <algorithm>
#include <cmath>
#include <span>

namespace hf::runtime {
namespace {

constexpr std::uint32_t kQuietStepTokens = 8192;

void normalize(std::vector<float>& vector) {
  double sum = 0;
  for (const float value : vector) sum += double{value} * double{value};
  if (sum <= 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(sum));
  for (float& value : vector) value *= scale;
}

}  // namespace

void EmbeddingQueue::submit(EmbeddingJob job) {
  auto* embedder = job.rerank ? model_.reranker() : model_.embedder();
  if (embedder == nullptr) {
    emit_(wire::Failed{job.id, Errc::invalid_argument,
                       job.rerank
                           ? "This model does not rerank; use a reranker such as bge-reranker."
                           : "This model offers no embeddings; use an embedding model.",
                       "model"});
    return;
  }
  jobs_.push_back({.job = std::move(job), .width = embedder->width()});
}

void EmbeddingQueue::cancel(wire::RequestId id) {
  std::erase_if(jobs_, [id](const Job& job) { return job.job.id == id; });
}

Result<void> EmbeddingQueue::turn(Job& job, bool generations_run) {
  auto* embedder = job.job.rerank ? model_.reranker() : model_.embedder();
  const auto budget = generations_run ? step_tokens_ : kQuietStepTokens;
  std::size_t end = job.next;
  std::size_t tokens = 0;
  while (end < job.job.inputs.size() &&
         (end == job.next || tokens + job.job.inputs[end].size() <= budget)) {
    tokens += job.job.inputs[end].size();
    ++end;
  }
  const auto inputs = std::span(job.job.inputs).subspan(job.next, end - job.next);
  auto vectors = HF_TRY(embedder->embed(inputs));
  for (auto& vector : vectors) {
    if (job.job.normalize) normalize(vector);
    job.values.insert(job.values.end(), vector.begin(), vector.end());
  }
  job.tokens += static_cast<std::uint32_t>(tokens);
  job.next = end;
  return {};
}

void EmbeddingQueue::step(bool generations_run) {
  if (jobs_.empty()) return;
  auto& job = jobs_.front();
  if (const auto done = turn(job, generations_run); !done) {
    emit_(wire::Failed{job.job.id, done.error().code, done.error().message, "input"});
    jobs_.pop_front();
    return;
  }
  if (job.next < job.job.inputs.size()) return;
  if (job.job.rerank) {
    emit_(wire::Scores{job.job.id, std::move(job.values), job.tokens});
  } else {
    emit_(wire::Embeddings{job.job.id, job.width, std::move(job.values), job.tokens});
  }
  jobs_.pop_front();
}

}  // namespace hf::runtime
