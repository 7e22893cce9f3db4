#pragma once
// Embedding and rerank requests on the engine thread, in small turns so that running generations
// keep their pace. Used by engine_service. Threads: engine thread only.

#include <cstdint>
#include <deque>
#include <vector>

#include "runtime/engine_preparing.hpp"

namespace hf::runtime {

class EmbeddingQueue {
 public:
  /// `step_tokens`: most tokens of one turn while generations run.
  EmbeddingQueue(LlamaModel& model, std::uint32_t step_tokens, EmitEvent emit)
      : model_(model), step_tokens_(step_tokens), emit_(std::move(emit)) {}
  void submit(EmbeddingJob job);
  void cancel(wire::RequestId id);
  [[nodiscard]] bool empty() const { return jobs_.empty(); }
  /// Computes one turn of the oldest request.
  void step(bool generations_run);

 private:
  struct Job {
    EmbeddingJob job;
    std::size_t next = 0;  // First input not yet computed.
    std::uint32_t width = 0;
    std::vector<float> values = {};
    std::uint32_t tokens = 0;
  };
  Result<void> turn(Job& job, bool generations_run);

  LlamaModel& model_;
  std::uint32_t step_tokens_;
  EmitEvent emit_;
  std::deque<Job> jobs_;
};

}  // namespace hf::runtime
