// POST /tokenize and /detokenize, as vLLM has them.
#include <utility>

#include "api/answer.hpp"
#include "api/json_writer.hpp"
#include "api/token_input.hpp"

namespace hf::api {
namespace {

struct TokenizeRequest {
  std::string model = {};
  wire::Tokenize tokenize = {};
};

struct DetokenizeRequest {
  std::string model = {};
  std::vector<wire::Token> tokens = {};
};

template <class Request>
struct Waiting {
  std::shared_ptr<Service> service;
  Call call;
  Request request;
};

void read_messages(Fields& fields, wire::Prompt& prompt) {
  prompt.kind = wire::PromptKind::chat;
  if (const auto messages = fields.take("messages", JsonKind::array)) {
    if (messages.size() == 0) fields.fail("messages", TextId::empty_list);
    prompt.messages_json = messages.raw();
  }
  if (const auto tools = fields.take("tools", JsonKind::array)) prompt.tools_json = tools.raw();
  if (const auto given = fields.take("chat_template_kwargs", JsonKind::object)) {
    prompt.template_args_json = given.raw();
  }
  bool generation_prompt = true;
  fields.flag("add_generation_prompt", generation_prompt);
  prompt.add_generation_prompt = generation_prompt ? 1 : 0;
  fields.only("continue_final_message", "false");
  fields.only("add_special_tokens", "false");  // The template writes its own.
  fields.unsupported({"chat_template", "mm_processor_kwargs", "media_io_kwargs"});
}

Checked<TokenizeRequest> read_tokenize(const Service& service, Call& call) {
  const auto body = HF_TRY(read_body(call));
  Fields fields(body.root(), "", call.language);
  TokenizeRequest request{.model = chosen_model(service, fields)};
  const bool chat = fields.has("messages");
  if (chat) {
    read_messages(fields, request.tokenize.prompt);
  } else {
    fields.require("prompt");
    fields.text("prompt", request.tokenize.prompt.text);
    bool add_special = true;
    fields.flag("add_special_tokens", add_special);
    request.tokenize.add_special = add_special ? 1 : 0;
  }
  bool with_pieces = false;
  fields.flag("return_token_strs", with_pieces);
  HF_TRY_VOID(fields.finish());
  request.tokenize.with_pieces = with_pieces ? 1 : 0;
  return request;
}

Checked<DetokenizeRequest> read_detokenize(const Service& service, Call& call) {
  const auto body = HF_TRY(read_body(call));
  Fields fields(body.root(), "", call.language);
  DetokenizeRequest request{.model = chosen_model(service, fields)};
  fields.require("tokens");
  if (const auto tokens = fields.take("tokens", JsonKind::array)) {
    request.tokens = read_tokens(fields, "tokens", tokens);
  }
  HF_TRY_VOID(fields.finish());
  return request;
}

std::string tokens_text(const wire::Tokens& found, std::uint32_t length_max, bool with_pieces) {
  std::string out;
  JsonWriter json(out);
  json.open_object().member("count", found.tokens.size()).member("max_model_len", length_max);
  json.key("tokens").open_array();
  for (const auto token : found.tokens) json.value(token);
  json.close_array();
  if (with_pieces) {
    json.key("token_strs").open_array();
    for (const auto& piece : found.pieces) json.value(piece);
    json.close_array();
  } else {
    json.member_null("token_strs");
  }
  json.close_object();
  return out;
}

void ask_tokens(const std::shared_ptr<Waiting<TokenizeRequest>>& waiting, std::uint32_t length_max) {
  auto& request = waiting->request;
  const bool with_pieces = request.tokenize.with_pieces != 0;
  waiting->service->models.tokenize(
      request.model, std::move(request.tokenize),
      [waiting, length_max, with_pieces](const Result<wire::Tokens>& found) {
        if (!found) return answer_fault(waiting->call, found.error());
        answer_json(waiting->call, tokens_text(*found, length_max, with_pieces));
      });
}

void ask_text(const std::shared_ptr<Waiting<DetokenizeRequest>>& waiting) {
  waiting->service->models.detokenize(
      waiting->request.model, {.tokens = std::move(waiting->request.tokens)},
      [waiting](const Result<wire::Tokens>& found) {
        if (!found) return answer_fault(waiting->call, found.error());
        std::string out;
        JsonWriter(out).open_object().member("prompt", found->text).close_object();
        answer_json(waiting->call, std::move(out));
      });
}

}  // namespace

void tokenize(const std::shared_ptr<Service>& service, Call call) {
  auto request = read_tokenize(*service, call);
  if (!request) return answer_fault(call, request.error());
  const auto model = request->model;
  auto waiting =
      std::make_shared<Waiting<TokenizeRequest>>(service, std::move(call), *std::move(request));
  service->models.when_ready(model, [waiting](const Result<inference::ModelStatus>& status) {
    if (!status) return answer_fault(waiting->call, status.error());
    const bool chat = waiting->request.tokenize.prompt.kind == wire::PromptKind::chat;
    if (chat && status->ready.chat_template.empty()) {
      auto words = say(waiting->call.language, TextId::no_chat_template, waiting->request.model);
      return answer_fault(waiting->call,
                          refuse("messages", std::move(words), "model_not_supported").error());
    }
    ask_tokens(waiting, status->ready.request_tokens_max);
  });
}

void detokenize(const std::shared_ptr<Service>& service, Call call) {
  auto request = read_detokenize(*service, call);
  if (!request) return answer_fault(call, request.error());
  const auto model = request->model;
  auto waiting =
      std::make_shared<Waiting<DetokenizeRequest>>(service, std::move(call), *std::move(request));
  service->models.when_ready(model, [waiting](const Result<inference::ModelStatus>& status) {
    if (!status) return answer_fault(waiting->call, status.error());
    auto outside = outside_vocabulary(waiting->request.tokens, status->ready.vocabulary, "tokens",
                                      waiting->call.language);
    if (!outside.empty()) {
      return answer_fault(waiting->call,
                          refuse("tokens", std::move(outside), "invalid_value").error());
    }
    ask_text(waiting);
  });
}

}  // namespace hf::api
