// GET /v1/models and /v1/models/{name}, as OpenAI has them, with more about each model.
#include <utility>

#include "api/answer.hpp"
#include "api/json_writer.hpp"
#include "api/model_words.hpp"

namespace hf::api {
namespace {

constexpr std::string_view kPath = "/v1/models/";

void write_count(JsonWriter& json, std::string_view name, std::uint64_t count) {
  count == 0 ? json.member_null(name) : json.member(name, count);
}

/// `adapter` empty: the model itself.
void write_model(JsonWriter& json, const inference::ModelStatus& model, std::string_view adapter) {
  const auto name = adapter.empty() ? model.name : model.name + ":" + std::string(adapter);
  json.open_object().member("id", name).member("object", "model");
  json.member("created", model.created).member("owned_by", "holdfast");
  json.member("root", model.name);
  adapter.empty() ? json.member_null("parent") : json.member("parent", model.name);
  json.member("state", state_word(model.state));
  const auto kind = kind_word(model);
  kind.empty() ? json.member_null("kind") : json.member("kind", kind);
  write_count(json, "context_length", model.ready.context_train_tokens);
  write_count(json, "max_model_len", model.ready.request_tokens_max);
  write_count(json, "embedding_width", model.ready.embedding_width);
  write_count(json, "parameters", model.ready.parameters);
  write_count(json, "size_bytes", model.file_bytes);
  model.licence.empty() ? json.member_null("licence") : json.member("licence", model.licence);
  json.close_object();
}

}  // namespace

void list_models(const std::shared_ptr<Service>& service, Call call) {
  std::string out;
  JsonWriter json(out);
  json.open_object().member("object", "list").key("data").open_array();
  for (const auto& model : service->models.models()) {
    write_model(json, model, {});
    for (const auto& adapter : model.adapters) write_model(json, model, adapter);
  }
  json.close_array().close_object();
  answer_json(call, std::move(out));
}

void show_model(const std::shared_ptr<Service>& service, Call call) {
  const auto name = std::string_view(call.request.path).substr(kPath.size());
  const auto model = service->models.model(name);
  if (!model) return answer_fault(call, model.error());
  const auto colon = name.find(':');
  const bool adapter = model->name != name && colon != std::string_view::npos;
  std::string out;
  JsonWriter json(out);
  write_model(json, *model, adapter ? name.substr(colon + 1) : std::string_view());
  answer_json(call, std::move(out));
}

}  // namespace hf::api
