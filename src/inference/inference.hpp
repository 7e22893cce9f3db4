#pragma once
// What the rest of the server sees of models: names, and requests that stream events. Behind it
// are engine processes that are started, watched, restarted and resumed. Used by api and, later,
// knowledge and workflow.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/messages.hpp"

namespace hf::inference {

enum class ModelState : std::uint8_t { unloaded, loading, ready, failed };

/// `ready` is valid once the model has been loaded in this run of the server; sizes are 0 before.
struct ModelStatus {
  std::string name;
  std::int64_t created = 0;  ///< Unix seconds: when it was added to the registry.
  std::string licence;
  std::uint64_t file_bytes = 0;
  ModelState state = ModelState::unloaded;
  std::string reason;  ///< For failed: why.
  float load_fraction = 0;
  wire::Ready ready = {};
  wire::Stats stats = {};
  std::uint32_t restarts = 0;
  std::vector<std::string> adapters;
  std::string kind = {};  ///< As the registry has it: "chat", "embedding", "rerank".
};

/// Events of one generation in the order of wire: Started, Delta.., ChoiceDone.., then on_done or
/// on_failed exactly once and last. Called on an engine's reader thread: must not block.
class GenerationListener {
 public:
  virtual ~GenerationListener() = default;
  virtual void on_started(const wire::Started& event) = 0;
  virtual void on_delta(const wire::Delta& event) = 0;
  virtual void on_choice_done(const wire::ChoiceDone& event) = 0;
  virtual void on_done(const wire::Done& event) = 0;
  virtual void on_failed(const Error& error) = 0;
};

/// Cancels the generation when destroyed or told to. Any thread. After cancel() returns, no
/// further listener call starts except a final on_done.
class Generation {
 public:
  virtual ~Generation() = default;
  virtual void cancel() = 0;
};

template <class T>
using Reply = std::move_only_function<void(Result<T>)>;

/// Threads: any; nothing blocks. A model that is not loaded is loaded by the first request for it,
/// which waits. Model names may be "name" or "name:adapter".
class Inference {
 public:
  virtual ~Inference() = default;
  [[nodiscard]] virtual std::vector<ModelStatus> models() const = 0;
  /// Errors: not_found, with the names there are.
  [[nodiscard]] virtual Result<ModelStatus> model(std::string_view name) const = 0;
  /// Status once the model is ready, loading it if needed.
  /// Errors: not_found; unavailable, marked failed; resource_exhausted, too little memory.
  virtual void when_ready(std::string_view name, Reply<ModelStatus> reply) = 0;

  /// `request.id` and `request.adapter` are set inside. Errors come at once: not_found,
  /// unavailable, resource_exhausted (queue full); later ones through the listener.
  virtual Result<std::unique_ptr<Generation>> generate(
      std::string_view model, wire::Generate request,
      std::shared_ptr<GenerationListener> listener) = 0;
  virtual void embed(std::string_view model, wire::Embed request,
                     Reply<wire::Embeddings> reply) = 0;
  virtual void rerank(std::string_view model, wire::Rerank request, Reply<wire::Scores> reply) = 0;
  virtual void tokenize(std::string_view model, wire::Tokenize request,
                        Reply<wire::Tokens> reply) = 0;
  virtual void detokenize(std::string_view model, wire::Detokenize request,
                          Reply<wire::Tokens> reply) = 0;
  virtual void load_adapter(std::string_view model, wire::LoadAdapter request,
                            Reply<wire::Ack> reply) = 0;
  virtual void unload_adapter(std::string_view model, wire::UnloadAdapter request,
                              Reply<wire::Ack> reply) = 0;
  /// Unloads an idle model; running requests end first.
  virtual Result<void> unload(std::string_view model) = 0;
};

}  // namespace hf::inference
