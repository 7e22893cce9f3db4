// POST /v1/embeddings, as OpenAI has it.
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "api/answer.hpp"
#include "api/json_writer.hpp"
#include "api/token_input.hpp"
#include "base/digest.hpp"

namespace hf::api {
namespace {

enum class Encoding : std::uint8_t { floats, base64 };

struct Request {
  std::string model = {};
  wire::Embed embed = {};
  Encoding encoding = Encoding::floats;
  std::int64_t dimensions = 0;  ///< 0: the model's own.
  bool is_list = false;         ///< `input` was an array of inputs.
};

struct Waiting {
  std::shared_ptr<Service> service;
  Call call;
  Request request;
};

void add_text(Fields& fields, Request& request, Json item, std::string_view place) {
  if (!item.is(JsonKind::string)) return fields.fail(place, TextId::want_string_or_list);
  if (item.text().empty()) return fields.fail(place, TextId::empty_text);
  request.embed.texts.emplace_back(item.text());
}

void add_tokens(Fields& fields, Request& request, Json item, std::string_view place) {
  if (!item.is(JsonKind::array)) return fields.fail(place, TextId::want_string_or_list);
  if (item.size() == 0) return fields.fail(place, TextId::empty_list);
  request.embed.token_lists.push_back(read_tokens(fields, place, item));
}

void read_input(Fields& fields, Request& request, std::uint32_t inputs_max) {
  fields.require("input");
  const auto input = fields.take("input");
  if (!fields.good()) return;
  if (input.is(JsonKind::string)) return add_text(fields, request, input, "input");
  if (!input.is(JsonKind::array)) return fields.fail("input", TextId::want_string_or_list);
  if (input.size() == 0) return fields.fail("input", TextId::empty_list);
  const auto first = *input.begin();
  if (first.is(JsonKind::number)) return add_tokens(fields, request, input, "input");
  if (input.size() > inputs_max) {
    return fields.fail("input", TextId::too_long_list, input.size(), inputs_max);
  }
  request.is_list = true;
  std::size_t index = 0;
  for (const auto item : input) {
    const auto place = item_path("input", index++);
    first.is(JsonKind::array) ? add_tokens(fields, request, item, place)
                              : add_text(fields, request, item, place);
    if (!fields.good()) return;
  }
}

Checked<Request> read_request(const Service& service, Call& call) {
  const auto body = HF_TRY(read_body(call));
  Fields fields(body.root(), "", call.language);
  Request request{.model = chosen_model(service, fields)};
  read_input(fields, request, service.options.embedding_inputs_max);
  const auto encoding = fields.word("encoding_format", {"float", "base64"});
  if (encoding == "base64") request.encoding = Encoding::base64;
  fields.integer("dimensions", 1, 1 << 20, request.dimensions);
  fields.accept({"user"});
  HF_TRY_VOID(fields.finish());
  request.embed.tenant = call.caller.tenant;
  return request;
}

/// What can only be said once the model is known.
Checked<void> check_model(const Call& call, const Request& request, const wire::Ready& model) {
  if (model.embeds == 0) {
    return refuse("model", say(call.language, TextId::no_embeddings, request.model),
                  "model_not_supported");
  }
  if (request.dimensions != 0 && request.dimensions != model.embedding_width) {
    return refuse("dimensions", say(call.language, TextId::wrong_dimensions, "dimensions",
                                    request.dimensions, model.embedding_width),
                  "invalid_value");
  }
  std::size_t index = 0;
  for (const auto& tokens : request.embed.token_lists) {
    const auto place = request.is_list ? item_path("input", index++) : std::string("input");
    auto outside = outside_vocabulary(tokens, model.vocabulary, place, call.language);
    if (!outside.empty()) return refuse(place, std::move(outside), "invalid_value");
  }
  return {};
}

void write_vector(JsonWriter& json, std::span<const float> values, Encoding encoding) {
  json.key("embedding");
  if (encoding == Encoding::base64) {
    static_assert(std::endian::native == std::endian::little);
    std::string bytes(values.size_bytes(), '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    json.value(base64(bytes));
    return;
  }
  json.open_array();
  for (const auto value : values) json.value(value);
  json.close_array();
}

std::string answer_text(const Request& request, const wire::Embeddings& found) {
  constexpr std::size_t kCharactersPerNumber = 13;
  std::string out;
  out.reserve(found.values.size() * kCharactersPerNumber + 512);
  JsonWriter json(out);
  json.open_object().member("object", "list").key("data").open_array();
  const std::span values(found.values);
  for (std::size_t index = 0; (index + 1) * found.width <= values.size(); ++index) {
    json.open_object().member("object", "embedding").member("index", index);
    write_vector(json, values.subspan(index * found.width, found.width), request.encoding);
    json.close_object();
  }
  json.close_array().member("model", request.model).key("usage").open_object();
  json.member("prompt_tokens", found.prompt_tokens).member("total_tokens", found.prompt_tokens);
  json.close_object().close_object();
  return out;
}

void embed(std::shared_ptr<Waiting> waiting) {
  auto& request = waiting->request;
  const auto inputs = request.embed.texts.size() + request.embed.token_lists.size();
  waiting->service->models.embed(
      request.model, std::move(request.embed),
      [waiting, inputs](const Result<wire::Embeddings>& found) {
        if (!found) return answer_fault(waiting->call, found.error());
        if (found->width == 0 || found->values.size() != inputs * found->width) {
          return answer_fault(waiting->call,
                              Error{Errc::internal, "The engine gave a wrong number of embeddings."});
        }
        answer_json(waiting->call, answer_text(waiting->request, *found));
      });
}

}  // namespace

void embeddings(const std::shared_ptr<Service>& service, Call call) {
  auto request = read_request(*service, call);
  if (!request) return answer_fault(call, request.error());
  const auto model = request->model;
  auto waiting = std::make_shared<Waiting>(service, std::move(call), *std::move(request));
  service->models.when_ready(model, [waiting](const Result<inference::ModelStatus>& status) {
    if (!status) return answer_fault(waiting->call, status.error());
    if (auto fits = check_model(waiting->call, waiting->request, status->ready); !fits) {
      return answer_fault(waiting->call, fits.error());
    }
    embed(waiting);
  });
}

}  // namespace hf::api
