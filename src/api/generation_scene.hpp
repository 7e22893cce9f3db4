#pragma once
// For tests and fuzz targets: models that play given events, a sink that collects, and a scene that
// joins them to the endpoints. One thread.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/service.hpp"
#include "inference/inference.hpp"

namespace hf::api::test {

using Event = std::variant<wire::Started, wire::Delta, wire::ChoiceDone, wire::Done, Error>;
using Script = std::vector<Event>;

/// Started, one Delta with one token for each text, ChoiceDone and Done.
Script says(const std::vector<std::string>& texts,
            wire::FinishReason reason = wire::FinishReason::stop);

/// Keeps what is asked; play() gives the answer. Models: "m" and what else is in `known`.
class ScriptedInference final : public inference::Inference {
 public:
  struct Asked {
    std::string model;
    wire::Generate request;
    std::shared_ptr<inference::GenerationListener> listener;
    bool cancelled = false;
    bool dropped = false;
  };

  ScriptedInference();
  ~ScriptedInference() override;
  /// Plays to generation `index` and forgets its listener after Done or an Error.
  void play(const Script& script, std::size_t index = 0);

  std::vector<inference::ModelStatus> known;
  std::vector<std::unique_ptr<Asked>> asked;
  Script at_once;                                                 ///< Played inside generate().
  std::optional<Error> refusal;                                   ///< generate() gives it.
  std::string rendered;                                           ///< Answer to tokenize().
  std::vector<inference::Reply<inference::ModelStatus>> waiting;  ///< when_ready() of the unloaded.

  [[nodiscard]] std::vector<inference::ModelStatus> models() const override { return known; }
  [[nodiscard]] Result<inference::ModelStatus> model(std::string_view name) const override;
  void when_ready(std::string_view name, inference::Reply<inference::ModelStatus> reply) override;
  Result<std::unique_ptr<inference::Generation>> generate(
      std::string_view model, wire::Generate request,
      std::shared_ptr<inference::GenerationListener> listener) override;
  void tokenize(std::string_view model, wire::Tokenize request,
                inference::Reply<wire::Tokens> reply) override;
  void embed(std::string_view, wire::Embed, inference::Reply<wire::Embeddings>) override {}
  void rerank(std::string_view, wire::Rerank, inference::Reply<wire::Scores>) override {}
  void detokenize(std::string_view, wire::Detokenize, inference::Reply<wire::Tokens>) override {}
  void load_adapter(std::string_view, wire::LoadAdapter, inference::Reply<wire::Ack>) override {}
  void unload_adapter(std::string_view, wire::UnloadAdapter, inference::Reply<wire::Ack>) override {
  }
  Result<void> unload(std::string_view) override { return {}; }
};

class CollectingSink final : public ResponseSink {
 public:
  void respond(HttpResponse answer) override { response = std::move(answer); }
  SinkState start_stream(int status, std::string content_type, Headers headers) override;
  SinkState write(std::string bytes) override;
  void finish() override { finished = true; }
  void on_gone(std::move_only_function<void()> callback) override {
    if (left) callback();
    gone = std::move(callback);
  }

  std::optional<HttpResponse> response;
  std::optional<HttpResponse> stream;  ///< Head and bytes so far.
  std::vector<std::string> writes;
  bool finished = false;
  SinkState state = SinkState::open;
  std::move_only_function<void()> gone;  ///< Call it once, as the client leaves.
  bool left = false;                     ///< The client left before on_gone().

  [[nodiscard]] const std::string& body() const { return response ? response->body : stream->body; }
  /// The data of each server-sent event.
  [[nodiscard]] std::vector<std::string> events() const;
};

/// One service with scripted models.
class Scene {
 public:
  Scene();
  ~Scene();
  /// Sends the body to an endpoint.
  std::shared_ptr<CollectingSink> send(Endpoint endpoint, std::string body,
                                       Language language = Language::english);
  void template_is(std::string source) { models.known[0].ready.chat_template = std::move(source); }
  [[nodiscard]] const wire::Generate& request(std::size_t index = 0) const {
    return models.asked.at(index)->request;
  }

  ScriptedInference models;
  std::shared_ptr<Service> service;
  Caller caller = {.key_id = "k", .name = "test", .tenant = "t"};

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// The value at "choices.0.delta.content" as JSON text; strings decoded. "(none)" if absent.
std::string at(std::string_view json, std::string_view path);
/// The whole of a streamed member, joined over events ("choices.0.delta.content").
std::string joined(const CollectingSink& sink, std::string_view path);

}  // namespace hf::api::test
