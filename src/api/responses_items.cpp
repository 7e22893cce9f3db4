#include "api/responses_items.hpp"

#include <format>

#include "api/json_writer.hpp"

namespace hf::api {
namespace {

void append_token_counts(JsonWriter& json, const TokenUsage& usage) {
  json.key("usage").open_object().member("input_tokens", usage.prompt);
  json.key("input_tokens_details").open_object().member("cached_tokens", usage.cached);
  json.close_object().member("output_tokens", usage.completion);
  json.key("output_tokens_details").open_object().member("reasoning_tokens", usage.reasoning);
  json.close_object().member("total_tokens", usage.prompt + usage.completion).close_object();
}

void append_outcome(JsonWriter& json, const ResponseState& state) {
  if (state.fault != nullptr) {
    const auto code = status_of(*state.fault).code;
    json.key("error").open_object().member("code", code.empty() ? "server_error" : code);
    json.member("message", state.fault->error.message).close_object();
  } else {
    json.member_null("error");
  }
  if (state.status == "incomplete") {
    json.key("incomplete_details").open_object().member("reason", "max_output_tokens");
    json.close_object();
  } else {
    json.member_null("incomplete_details");
  }
}

void append_request(JsonWriter& json, const ResponsesForm& form) {
  json.member_raw("instructions", form.instructions_json);
  json.key("max_output_tokens");
  form.output_tokens_max == 0 ? json.null() : json.value(form.output_tokens_max);
  json.member_null("max_tool_calls").member_raw("metadata", form.metadata_json);
  json.member("parallel_tool_calls", form.parallel_tool_calls).member_null("previous_response_id");
  json.key("reasoning").open_object().key("effort");
  form.effort.empty() ? json.null() : json.value(form.effort);
  json.member_null("summary").close_object();
  json.member("service_tier", "default").member("store", false);
  json.member("temperature", form.temperature).member_raw("text", form.text_json);
  json.member_raw("tool_choice", form.tool_choice_json).member_raw("tools", form.tools_json);
  json.member("top_logprobs", form.top_logprobs).member("top_p", form.top_p);
  json.member("truncation", "disabled").member_raw("user", form.user_json);
}

}  // namespace

std::string item_id(ItemKind kind, std::string_view response_id, std::size_t index) {
  const auto start = kind == ItemKind::call ? "fc" : kind == ItemKind::message ? "msg" : "rs";
  return std::format("{}_{}{:02}", start, response_id.substr(response_id.find('_') + 1), index);
}

void append_part(std::string& out, const ResponseItem& item) {
  JsonWriter json(out);
  json.open_object();
  if (item.kind == ItemKind::reasoning) {
    json.member("type", "reasoning_text").member("text", item.text);
  } else {
    json.member("type", "output_text").member("text", item.text).member_raw("annotations", "[]");
    json.member_raw("logprobs", "[" + item.logprobs + "]");
  }
  json.close_object();
}

void append_item(std::string& out, const ResponseItem& item, std::string_view status) {
  JsonWriter json(out);
  json.open_object().member("id", item.id);
  if (item.kind == ItemKind::call) {
    json.member("type", "function_call").member("status", status);
    json.member("call_id", item.call_id).member("name", item.name);
    json.member("arguments", item.text).close_object();
    return;
  }
  if (item.kind == ItemKind::reasoning) {
    json.member("type", "reasoning").member_raw("summary", "[]");
  } else {
    json.member("type", "message").member("role", "assistant");
  }
  json.member("status", status).key("content").open_array();
  if (status != "in_progress") append_part(out, item);
  json.close_array().close_object();
}

void append_response(std::string& out, const Transcript& transcript, const ResponsesForm& form,
                     const ResponseState& state) {
  JsonWriter json(out);
  json.open_object().member("id", transcript.id).member("object", "response");
  json.member("created_at", transcript.created).member("status", state.status);
  json.member("background", false);
  append_outcome(json, state);
  json.member("model", transcript.model);
  json.key("output").open_array().raw(state.output).close_array();
  append_request(json, form);
  if (state.usage != nullptr) {
    append_token_counts(json, *state.usage);
  } else {
    json.member_null("usage");
  }
  json.close_object();
}

}  // namespace hf::api
