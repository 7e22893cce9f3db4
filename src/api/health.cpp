// GET /livez, /readyz and /metrics.
#include <utility>

#include "api/answer.hpp"
#include "api/json_writer.hpp"
#include "api/model_words.hpp"

namespace hf::api {
namespace {

struct Readiness {
  std::string_view word = "ready";
  bool ready = true;
};

Readiness readiness(const Service& service) {
  if (service.draining->load()) return {"draining", false};
  if (service.check_store && !service.check_store()) return {"no model store", false};
  return {};
}

void write_models(JsonWriter& json, const Service& service) {
  json.key("models").open_array();
  for (const auto& model : service.models.models()) {
    json.open_object().member("name", model.name).member("state", state_word(model.state));
    if (model.state == inference::ModelState::loading) {
      json.member("load_fraction", model.load_fraction);
    }
    if (!model.reason.empty()) json.member("reason", model.reason);
    json.member("running", model.stats.running).member("waiting", model.stats.waiting);
    json.member("restarts", model.restarts).close_object();
  }
  json.close_array();
}

}  // namespace

void live(const std::shared_ptr<Service>& /*service*/, Call call) {
  answer_json(call, R"({"status":"live"})");
}

void ready(const std::shared_ptr<Service>& service, Call call) {
  const auto state = readiness(*service);
  HttpResponse response{.status = state.ready ? 200 : 503};
  JsonWriter json(response.body);
  json.open_object().member("status", state.word);
  if (query_has(call.request.query, "verbose")) {
    json.member("version", service->options.version);
    write_models(json, *service);
  }
  json.close_object();
  if (!state.ready) response.headers.emplace_back("retry-after", "5");
  call.sink->respond(std::move(response));
}

void metrics_text(const std::shared_ptr<Service>& service, Call call) {
  if (service->refresh_metrics) service->refresh_metrics();
  call.sink->respond({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                      .body = service->metrics.text()});
}

}  // namespace hf::api
