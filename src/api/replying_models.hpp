#pragma once
// For this module's tests: models that answer at once with what the test sets, a sink that keeps
// the answer, and a server of both behind make_handler(). Owner: one test, one thread.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "api/json.hpp"
#include "api/key_store.hpp"
#include "api/service.hpp"

namespace hf::api {

/// Knows the models in `known`; embeds, ranks and splits text by simple rules.
class ReplyingModels final : public inference::Inference {
 public:
  std::vector<inference::ModelStatus> known;
  std::vector<float> scores;                    ///< What rerank answers.
  std::vector<wire::Embed> embedded;            ///< What was asked.
  std::vector<wire::Tokenize> tokenized;

  inference::ModelStatus& add(std::string name, wire::Ready ready) {
    inference::ModelStatus status{.name = std::move(name),
                                  .created = 1'700'000'000,
                                  .licence = "Apache-2.0",
                                  .file_bytes = 1000,
                                  .state = inference::ModelState::ready,
                                  .reason = {},
                                  .load_fraction = 1,
                                  .ready = std::move(ready),
                                  .stats = {},
                                  .restarts = 0,
                                  .adapters = {}};
    known.push_back(std::move(status));
    return known.back();
  }

  [[nodiscard]] std::vector<inference::ModelStatus> models() const override { return known; }
  [[nodiscard]] Result<inference::ModelStatus> model(std::string_view name) const override {
    for (const auto& status : known) {
      if (status.name == name.substr(0, name.find(':'))) return status;
    }
    return std::unexpected(Error{Errc::not_found, "There is no such model.", {}, "model"});
  }
  void when_ready(std::string_view name, inference::Reply<inference::ModelStatus> reply) override {
    reply(model(name));
  }
  /// Each input becomes {its number, 0.5}.
  void embed(std::string_view /*model*/, wire::Embed request,
             inference::Reply<wire::Embeddings> reply) override {
    const auto inputs = request.texts.size() + request.token_lists.size();
    wire::Embeddings found{.width = 2, .prompt_tokens = 7};
    for (std::size_t i = 0; i < inputs; ++i) {
      found.values.push_back(static_cast<float>(i));
      found.values.push_back(0.5F);
    }
    embedded.push_back(std::move(request));
    reply(std::move(found));
  }
  void rerank(std::string_view /*model*/, wire::Rerank /*request*/,
              inference::Reply<wire::Scores> reply) override {
    reply(wire::Scores{.values = scores, .prompt_tokens = 9});
  }
  /// One token a byte.
  void tokenize(std::string_view /*model*/, wire::Tokenize request,
                inference::Reply<wire::Tokens> reply) override {
    wire::Tokens found;
    for (const char c : request.prompt.text) {
      found.tokens.push_back(c);
      if (request.with_pieces != 0) found.pieces.emplace_back(1, c);
    }
    tokenized.push_back(std::move(request));
    reply(std::move(found));
  }
  void detokenize(std::string_view /*model*/, wire::Detokenize request,
                  inference::Reply<wire::Tokens> reply) override {
    wire::Tokens found;
    for (const auto token : request.tokens) found.text += static_cast<char>(token);
    reply(std::move(found));
  }

  Result<std::unique_ptr<inference::Generation>> generate(
      std::string_view /*model*/, wire::Generate /*request*/,
      std::shared_ptr<inference::GenerationListener> /*listener*/) override {
    return fail(Errc::unimplemented, "Not for these tests.");
  }
  void load_adapter(std::string_view /*model*/, wire::LoadAdapter /*request*/,
                    inference::Reply<wire::Ack> reply) override {
    reply(wire::Ack{});
  }
  void unload_adapter(std::string_view /*model*/, wire::UnloadAdapter /*request*/,
                      inference::Reply<wire::Ack> reply) override {
    reply(wire::Ack{});
  }
  Result<void> unload(std::string_view /*model*/) override { return {}; }
};

struct KeptAnswer {
  std::atomic<bool> complete = false;
  HttpResponse response = {};
};

/// Keeps the one answer.
class KeepingSink final : public ResponseSink {
 public:
  explicit KeepingSink(std::shared_ptr<KeptAnswer> kept) : kept_(std::move(kept)) {}
  void respond(HttpResponse response) override {
    kept_->response = std::move(response);
    kept_->complete = true;
  }
  SinkState start_stream(int status, std::string content_type, Headers headers) override {
    kept_->response = {.status = status, .content_type = std::move(content_type),
                       .headers = std::move(headers)};
    return SinkState::open;
  }
  SinkState write(std::string bytes) override {
    kept_->response.body += bytes;
    return SinkState::open;
  }
  void finish() override { kept_->complete = true; }
  void on_gone(std::move_only_function<void()> /*callback*/) override {}

 private:
  std::shared_ptr<KeptAnswer> kept_;
};

/// A folder of its own, removed at the end.
class TestFolder {
 public:
  TestFolder() {
    static int number = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("hf_api_test_" + std::to_string(::getpid()) + "_" + std::to_string(++number));
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  [[nodiscard]] std::string path(std::string_view name = {}) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// The whole api with a key that may do everything.
class TestApi {
 public:
  TestApi() {
    service = std::make_shared<Service>(
        Service{.models = models, .keys = *keys, .metrics = metrics});
    handler = make_handler(service);
    key = keys->create({.name = "test",
                        .permissions = {Permission::infer, Permission::models, Permission::metrics,
                                        Permission::keys}})
              .value()
              .secret;
  }

  /// With the key, unless `headers` has an Authorization of its own.
  HttpResponse ask(std::string_view method, std::string_view path, std::string body = {},
                   Headers headers = {}) const {
    const bool named = std::ranges::contains(headers, "authorization", &Headers::value_type::first);
    if (!named) headers.emplace_back("authorization", "Bearer " + key);
    return ask_as_stranger(method, path, std::move(body), std::move(headers));
  }
  /// Without a key of its own.
  HttpResponse ask_as_stranger(std::string_view method, std::string_view path,
                               std::string body = {}, Headers headers = {}) const {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.headers = std::move(headers);
    request.body = std::move(body);
    request.id = "r1";
    if (const auto query = request.path.find('?'); query != std::string::npos) {
      request.query = request.path.substr(query + 1);
      request.path.resize(query);
    }
    auto kept = std::make_shared<KeptAnswer>();
    handler(std::move(request), std::make_shared<KeepingSink>(kept));
    for (int i = 0; i < 5000 && !kept->complete; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // The key store's thread.
    }
    return kept->response;
  }

  TestFolder folder;
  ReplyingModels models;
  Metrics metrics;
  std::unique_ptr<KeyStore> keys = KeyStore::open(folder.path()).value();
  std::shared_ptr<Service> service;
  Handler handler;
  std::string key;
};

/// Reads an answer's JSON.
class Answer {
 public:
  explicit Answer(const HttpResponse& response)
      : document_(JsonDocument::parse(response.body).value()) {}
  /// "error.code", "data.0.id": the text of a string, else the raw JSON; "absent" if not there.
  [[nodiscard]] std::string at(std::string_view path) const {
    Json found = document_.root();
    while (!path.empty() && found) {
      const auto name = path.substr(0, path.find('.'));
      path.remove_prefix(std::min(path.size(), name.size() + 1));
      found = found.is(JsonKind::array) ? item(found, std::stoul(std::string(name))) : found[name];
    }
    if (!found) return "absent";
    return std::string(found.is(JsonKind::string) ? found.text() : found.raw());
  }

 private:
  static Json item(Json array, std::size_t index) {
    for (const auto one : array) {
      if (index-- == 0) return one;
    }
    return {};
  }
  JsonDocument document_;
};

}  // namespace hf::api
