#include "api/responses_request.hpp"

#include "api/answer.hpp"
#include "api/chat_request.hpp"
#include "api/constraint_fields.hpp"
#include "api/json_writer.hpp"
#include "api/sampling_fields.hpp"
#include "api/tool_fields.hpp"

namespace hf::api {
namespace {

void copy_raw(const Fields& fields, std::string_view name, std::string& out) {
  if (fields.has(name)) out = fields.object()[name].raw();
}

void refuse_stored(Fields& fields) {
  bool store = false;
  fields.flag("store", store);
  if (store) fields.fail("store", TextId::cannot_store);
  for (const auto* name : {"previous_response_id", "conversation"}) {
    if (fields.take(name)) fields.fail(name, TextId::cannot_store);
  }
  fields.only("background", "false");
  fields.only("truncation", "\"disabled\"");
  fields.only("n", "1");
  fields.unsupported({"prompt", "max_tool_calls"});
}

void read_reasoning(Fields& fields, ResponsesForm& form) {
  const auto reasoning = fields.take("reasoning");
  if (!reasoning || !fields.good()) return;
  Fields inner(reasoning, fields.path("reasoning"), fields.language());
  form.effort = read_effort(inner, "effort").value_or("");
  // The reasoning itself is given, not a summary of it.
  for (const auto* name : {"summary", "generate_summary"}) inner.word(name, {"auto"});
  fields.merge(inner);
}

void read_logprobs(Fields& fields, const ServiceOptions& options, ResponsesForm& form) {
  std::vector<std::string> include;
  fields.texts("include", include);
  for (const auto& item : include) {
    if (item == "message.output_text.logprobs") {
      form.logprobs = true;
    } else if (item != "reasoning.encrypted_content") {
      fields.fail("include", TextId::unknown_item, item.substr(0, 64));
    }
  }
  std::int64_t top = 0;
  fields.integer("top_logprobs", 0, options.logprobs_max, top);
  form.top_logprobs = static_cast<std::int32_t>(top);
  form.logprobs = form.logprobs || top > 0;
}

void read_prompt(Fields& fields, GenerationPlan& plan, ResponsesForm& form) {
  auto& prompt = plan.prompts.emplace_back();
  prompt.kind = wire::PromptKind::chat;
  prompt.messages_json = read_input(fields);
  copy_raw(fields, "instructions", form.instructions_json);
  read_reasoning(fields, form);
  prompt.template_args_json = template_arguments(fields, form.effort);
  read_tools(fields, ToolForm::flat, plan.tools);
  prompt.tools_json = plan.tools.tools_json;
  form.parallel_tool_calls = plan.tools.parallel;
  copy_raw(fields, "tools", form.tools_json);
  copy_raw(fields, "tool_choice", form.tool_choice_json);
}

}  // namespace

Checked<ResponsesRequest> read_responses(const Service& service, const Caller& caller, Json body,
                                         Language language) {
  ResponsesRequest request;
  auto& plan = request.plan;
  auto& form = request.form;
  Fields fields(body, "", language);
  read_prompt(fields, plan, form);
  read_sampling(fields, plan.request);
  form.temperature = plan.request.sampling.temperature;
  form.top_p = plan.request.sampling.top_p;
  read_limit(fields, "max_output_tokens", plan.request.max_tokens);
  form.output_tokens_max = plan.request.max_tokens;
  read_logprobs(fields, service.options, form);
  if (form.logprobs) plan.request.sampling.logprobs = form.top_logprobs;
  ConstraintReader constraint(fields, plan.request.grammar);
  constraint.text_format();
  if (constraint.name() == "text") copy_raw(fields, "text", form.text_json);
  constraint.guided();
  if (plan.tools.offered() && !constraint.name().empty()) {
    fields.fail(constraint.name(), TextId::tools_and_format);
  }
  read_placement(fields, caller, service.options, plan.request);
  bool usage = false;  // Always given.
  read_stream(fields, plan.stream, usage);
  accept_metadata(fields);
  copy_raw(fields, "metadata", form.metadata_json);
  copy_raw(fields, "user", form.user_json);
  refuse_stored(fields);
  plan.model = chosen_model(service, fields);
  if (auto checked = fields.finish(); !checked) return std::unexpected(std::move(checked).error());
  plan.id = new_answer_id("resp_");
  return request;
}

}  // namespace hf::api
