// POST /v1/rerank, as Jina and Cohere have it.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "api/answer.hpp"
#include "api/json_writer.hpp"

namespace hf::api {
namespace {

struct Request {
  std::string model = {};
  std::string query = {};
  std::vector<std::string> documents = {};
  std::size_t top = 0;
  bool return_documents = true;
};

struct Waiting {
  std::shared_ptr<Service> service;
  Call call;
  Request request;
};

void add_document(Fields& fields, Json item, std::string_view place,
                  std::vector<std::string>& documents) {
  if (item.is(JsonKind::string)) {
    documents.emplace_back(item.text());
    return;
  }
  Fields object(item, fields.path(place), fields.language());
  std::string text;
  object.require("text");
  object.text("text", text);
  if (const auto good = object.finish(); !good) return fields.fail_with(good.error());
  documents.push_back(std::move(text));
}

void read_documents(Fields& fields, Request& request, std::uint32_t documents_max) {
  fields.require("documents");
  const auto documents = fields.take("documents", JsonKind::array);
  if (!fields.good()) return;
  if (documents.size() == 0) return fields.fail("documents", TextId::empty_list);
  if (documents.size() > documents_max) {
    return fields.fail("documents", TextId::too_long_list, documents.size(), documents_max);
  }
  request.documents.reserve(documents.size());
  for (const auto item : documents) {
    add_document(fields, item, item_path("documents", request.documents.size()), request.documents);
    if (!fields.good()) return;
  }
}

Checked<Request> read_request(const Service& service, Call& call) {
  const auto body = HF_TRY(read_body(call));
  Fields fields(body.root(), "", call.language);
  Request request{.model = chosen_model(service, fields)};
  fields.require("query");
  fields.text("query", request.query);
  if (fields.good() && request.query.empty()) fields.fail("query", TextId::empty_text);
  read_documents(fields, request, service.options.rerank_documents_max);
  std::int64_t top = static_cast<std::int64_t>(request.documents.size());
  fields.integer("top_n", 1, std::int64_t{1} << 31U, top);
  fields.flag("return_documents", request.return_documents);
  fields.accept({"user"});
  fields.unsupported({"max_chunks_per_doc", "max_tokens_per_doc", "rank_fields",
                      "truncate_prompt_tokens", "truncation", "overlap_tokens"});
  HF_TRY_VOID(fields.finish());
  request.top = std::min(static_cast<std::size_t>(top), request.documents.size());
  return request;
}

double probability(float logit) { return 1 / (1 + std::exp(-static_cast<double>(logit))); }

/// Indices of the best documents, best first; the order of the request among equals.
std::vector<std::size_t> ranking(const std::vector<float>& scores, std::size_t top) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&scores](std::size_t left, std::size_t right) {
    return scores[left] > scores[right];
  });
  order.resize(top);
  return order;
}

std::string answer_text(const Request& request, const wire::Scores& scores) {
  std::string out;
  JsonWriter json(out);
  json.open_object().member("id", new_answer_id("rerank-")).member("object", "list");
  json.member("model", request.model).key("results").open_array();
  for (const auto index : ranking(scores.values, request.top)) {
    json.open_object().member("index", index);
    json.member("relevance_score", probability(scores.values[index]));
    if (request.return_documents) {
      json.key("document").open_object().member("text", request.documents[index]).close_object();
    }
    json.close_object();
  }
  json.close_array().key("usage").open_object();
  json.member("prompt_tokens", scores.prompt_tokens).member("total_tokens", scores.prompt_tokens);
  json.close_object().close_object();
  return out;
}

void score(std::shared_ptr<Waiting> waiting) {
  const auto& request = waiting->request;
  waiting->service->models.rerank(
      request.model,
      {.query = request.query,
       .documents = request.documents,
       .tenant = waiting->call.caller.tenant},
      [waiting](const Result<wire::Scores>& scores) {
        if (!scores) return answer_fault(waiting->call, scores.error());
        const auto finite = [](float value) { return std::isfinite(value); };
        if (scores->values.size() != waiting->request.documents.size() ||
            !std::ranges::all_of(scores->values, finite)) {
          return answer_fault(waiting->call, Error{Errc::internal, "The engine gave wrong scores."});
        }
        answer_json(waiting->call, answer_text(waiting->request, *scores));
      });
}

}  // namespace

void rerank(const std::shared_ptr<Service>& service, Call call) {
  auto request = read_request(*service, call);
  if (!request) return answer_fault(call, request.error());
  const auto model = request->model;
  auto waiting = std::make_shared<Waiting>(service, std::move(call), *std::move(request));
  service->models.when_ready(model, [waiting](const Result<inference::ModelStatus>& status) {
    if (!status) return answer_fault(waiting->call, status.error());
    if (status->ready.reranks == 0) {
      auto words = say(waiting->call.language, TextId::no_rerank, waiting->request.model);
      return answer_fault(waiting->call,
                          refuse("model", std::move(words), "model_not_supported").error());
    }
    score(waiting);
  });
}

}  // namespace hf::api
