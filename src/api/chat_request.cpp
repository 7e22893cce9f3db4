#include "api/chat_request.hpp"

#include <algorithm>
#include <array>

#include "api/answer.hpp"
#include "api/constraint_fields.hpp"
#include "api/json_writer.hpp"
#include "api/message_fields.hpp"
#include "api/sampling_fields.hpp"
#include "api/tool_fields.hpp"

namespace hf::api {
namespace {

// What the server itself gives to a template.
constexpr std::array<std::string_view, 5> kOwnVariables = {"messages", "tools", "bos_token",
                                                           "eos_token", "add_generation_prompt"};

void read_logprobs(Fields& fields, const ServiceOptions& options, wire::Sampling& sampling) {
  bool wanted = false;
  fields.flag("logprobs", wanted);
  std::int64_t top = 0;
  fields.integer("top_logprobs", 0, options.logprobs_max, top);
  if (fields.has("top_logprobs") && !wanted) {
    return fields.fail("top_logprobs", TextId::top_logprobs_needs_logprobs);
  }
  if (wanted) sampling.logprobs = static_cast<std::int32_t>(top);
}

void read_limits(Fields& fields, wire::Generate& request) {
  read_limit(fields, "max_tokens", request.max_tokens);
  const auto old_limit = request.max_tokens;
  read_limit(fields, "max_completion_tokens", request.max_tokens);
  if (old_limit != 0 && fields.has("max_completion_tokens") && old_limit != request.max_tokens) {
    fields.fail("max_tokens", TextId::not_both, "max_completion_tokens");
  }
}

void read_modalities(Fields& fields) {
  std::vector<std::string> wanted;
  fields.texts("modalities", wanted);
  for (const auto& modality : wanted) {
    if (modality != "text") fields.fail("modalities", TextId::not_supported_value, "[\"text\"]");
  }
}

void refuse_unserved(Fields& fields) {
  for (const auto& [old_name, name] :
       {std::pair{"functions", "tools"}, std::pair{"function_call", "tool_choice"}}) {
    if (fields.take(old_name)) fields.fail(old_name, TextId::deprecated_field, name);
  }
  fields.unsupported({"audio", "prediction", "web_search_options"});
  fields.only("store", "false");
  fields.only("verbosity", "\"medium\"");
  fields.only("continue_final_message", "false");
  read_modalities(fields);
}

void read_prompt(Fields& fields, GenerationPlan& plan) {
  auto& prompt = plan.prompts.emplace_back();
  prompt.kind = wire::PromptKind::chat;
  prompt.messages_json = read_messages(fields);
  const auto effort = read_effort(fields, "reasoning_effort");
  prompt.template_args_json = template_arguments(fields, effort.value_or(""));
  bool add_generation_prompt = true;
  fields.flag("add_generation_prompt", add_generation_prompt);
  prompt.add_generation_prompt = add_generation_prompt ? 1 : 0;
  read_tools(fields, ToolForm::nested, plan.tools);
  prompt.tools_json = plan.tools.tools_json;
}

}  // namespace

std::optional<std::string> read_effort(Fields& fields, std::string_view name) {
  return fields.word(name, {"none", "minimal", "low", "medium", "high", "xhigh", "max"});
}

std::string template_arguments(Fields& fields, std::string_view effort) {
  const auto given = fields.take("chat_template_kwargs", JsonKind::object);
  if (!fields.good() || (!given && effort.empty())) return {};
  const bool silent = effort == "none" || effort == "minimal";
  std::string out;
  JsonWriter json(out);
  json.open_object();
  for (const auto member : given) {
    const auto name = member.key();
    const bool taken =
        (name == "reasoning_effort" && !effort.empty()) || (name == "enable_thinking" && silent);
    if (taken || std::ranges::contains(kOwnVariables, name)) {
      fields.fail("chat_template_kwargs", TextId::kwargs_conflict, name);
    }
    json.member_raw(name, member.raw());
  }
  if (silent) json.member("enable_thinking", false);
  if (!effort.empty() && !silent) json.member("reasoning_effort", effort);
  json.close_object();
  return out;
}

Checked<ChatRequest> read_chat(const Service& service, const Caller& caller, Json body,
                               Language language) {
  ChatRequest chat;
  auto& plan = chat.plan;
  Fields fields(body, "", language);
  read_prompt(fields, plan);
  read_sampling(fields, plan.request);
  read_choices(fields, service.options, plan.request);
  read_limits(fields, plan.request);
  read_logprobs(fields, service.options, plan.request.sampling);
  ConstraintReader constraint(fields, plan.request.grammar);
  constraint.response_format();
  constraint.guided();
  if (plan.tools.offered() && !constraint.name().empty()) {
    fields.fail(constraint.name(), TextId::tools_and_format);
  }
  read_placement(fields, caller, service.options, plan.request);
  read_stream(fields, plan.stream, chat.include_usage);
  accept_metadata(fields);
  refuse_unserved(fields);
  plan.model = chosen_model(service, fields);
  if (auto checked = fields.finish(); !checked) return std::unexpected(std::move(checked).error());
  plan.id = new_answer_id("chatcmpl-");
  return chat;
}

}  // namespace hf::api
