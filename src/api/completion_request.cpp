#include "api/completion_request.hpp"

#include <algorithm>
#include <limits>

#include "api/answer.hpp"
#include "api/constraint_fields.hpp"
#include "api/sampling_fields.hpp"

namespace hf::api {
namespace {

constexpr std::size_t kPromptsMax = 128;
constexpr std::uint32_t kTokensDefault = 16;  // OpenAI's.

class PromptReader {
 public:
  PromptReader(Fields& fields, std::vector<wire::Prompt>& prompts)
      : fields_(fields), prompts_(prompts) {}

  void read() {
    fields_.require("prompt");
    const auto prompt = fields_.take("prompt");
    if (!fields_.good()) return;
    if (prompt.is(JsonKind::string)) return add_text(prompt);
    if (!prompt.is(JsonKind::array)) return fields_.fail("prompt", TextId::want_string_or_list);
    if (prompt.size() == 0) return fields_.fail("prompt", TextId::empty_list);
    if ((*prompt.begin()).is(JsonKind::number)) return add_tokens(prompt);
    if (prompt.size() > kPromptsMax) {
      return fields_.fail("prompt", TextId::too_long_list, prompt.size(), kPromptsMax);
    }
    for (const auto item : prompt) add_item(item);
  }

 private:
  void add_item(Json item) {
    if (item.is(JsonKind::string)) return add_text(item);
    const auto place = item_path("prompt", prompts_.size());
    if (!item.is(JsonKind::array)) return fields_.fail(place, TextId::want_string_or_list);
    if (item.size() == 0) return fields_.fail(place, TextId::empty_list);
    add_tokens(item);
  }

  void add_text(Json text) {
    prompts_.push_back({.kind = wire::PromptKind::text, .text = std::string(text.text())});
  }

  void add_tokens(Json list) {
    auto& prompt = prompts_.emplace_back();
    prompt.kind = wire::PromptKind::tokens;
    for (const auto item : list) {
      const auto token = item.is(JsonKind::number) ? item.integer() : std::nullopt;
      if (!token || *token < 0 || *token > std::numeric_limits<wire::Token>::max()) {
        return fields_.fail("prompt", TextId::want_string_or_list);
      }
      prompt.tokens.push_back(static_cast<wire::Token>(*token));
    }
  }

  Fields& fields_;
  std::vector<wire::Prompt>& prompts_;
};

void read_echo(Fields& fields, CompletionRequest& completion) {
  bool echo = false;
  fields.flag("echo", echo);
  if (!echo || !fields.good()) return;
  if (completion.plan.request.sampling.logprobs >= 0) {
    return fields.fail("echo", TextId::echo_no_logprobs);
  }
  for (const auto& prompt : completion.plan.prompts) {
    if (prompt.kind != wire::PromptKind::text) return fields.fail("echo", TextId::echo_needs_text);
    completion.echoes.push_back(prompt.text);
  }
}

void read_best_of(Fields& fields, const ServiceOptions& options, std::uint32_t choices) {
  std::int64_t best_of = choices;
  fields.integer("best_of", 1, options.choices_max, best_of);
  if (best_of != choices) {
    fields.fail("best_of", TextId::not_supported_value, std::format("{} ('n')", choices));
  }
}

}  // namespace

Checked<CompletionRequest> read_completion(const Service& service, const Caller& caller, Json body,
                                           Language language) {
  CompletionRequest completion;
  auto& plan = completion.plan;
  Fields fields(body, "", language);
  PromptReader(fields, plan.prompts).read();
  read_sampling(fields, plan.request);
  read_choices(fields, service.options, plan.request);
  plan.request.max_tokens = kTokensDefault;
  read_limit(fields, "max_tokens", plan.request.max_tokens);
  std::int64_t logprobs = -1;
  fields.integer("logprobs", 0, service.options.logprobs_max, logprobs);
  plan.request.sampling.logprobs = static_cast<std::int32_t>(logprobs);
  read_echo(fields, completion);
  read_best_of(fields, service.options, plan.request.choices);
  ConstraintReader constraint(fields, plan.request.grammar);
  constraint.response_format();
  constraint.guided();
  read_placement(fields, caller, service.options, plan.request);
  read_stream(fields, plan.stream, completion.include_usage);
  accept_metadata(fields);
  fields.unsupported({"suffix"});
  fields.only("add_special_tokens", "true");
  plan.model = chosen_model(service, fields);
  if (auto checked = fields.finish(); !checked) return std::unexpected(std::move(checked).error());
  plan.id = new_answer_id("cmpl-");
  return completion;
}

}  // namespace hf::api
