#pragma once
// One engine process from the inside: reads frames, prepares requests on a small pool, computes on
// the engine thread, writes frames. Used by apps/holdfast-engine only.
// Threads: "reader" (the caller of run), "prep-n", "engine". The engine thread alone touches the
// model's contexts and the scheduler.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "chat/chat_template.hpp"
#include "runtime/llama_model.hpp"
#include "runtime/scheduler.hpp"
#include "wire/channel.hpp"

namespace hf::runtime {

struct EngineOptions {
  std::string name;
  LlamaOptions model;
  SchedulerOptions scheduler;
  std::vector<std::pair<std::string, std::string>> adapters;  ///< Name and path, loaded at start.
  std::string render_program;  ///< This program, for the template's fence.
  std::vector<std::string> render_arguments;
  chat::FenceOptions fence;
  std::uint32_t preparing_threads = 2;
  std::uint32_t preparing_max = 1024;     ///< Requests waiting to be prepared; more are refused.
  std::uint32_t grammar_cache = 128;      ///< Compiled grammars kept.
  std::uint32_t embed_step_tokens = 512;  ///< Per turn while generations run.
  Duration warm_up =
      std::chrono::milliseconds(1500);  ///< Measuring threads and cost curve; 0: none.
};

/// Serves until Shutdown or until the server is gone. Blocks.
/// Errors: the load error (already sent as LoadFailed); internal, the model broke.
Result<void> serve_engine(wire::Channel& channel, EngineOptions options);

}  // namespace hf::runtime
