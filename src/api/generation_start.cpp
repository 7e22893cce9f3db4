#include "api/generation_start.hpp"

#include <chrono>
#include <utility>

#include "api/answer.hpp"
#include "api/constraint_reasoning.hpp"
#include "api/generation_run.hpp"
#include "base/digest.hpp"

namespace hf::api {
namespace {

constexpr std::size_t kFingerprintDigits = 10;

// One request between its check and its generation; kept by whoever it waits for.
class Start : public std::enable_shared_from_this<Start> {
 public:
  Start(std::shared_ptr<Service> service, Call call, GenerationPlan plan,
        std::unique_ptr<AnswerWriter> writer)
      : service_(std::move(service)),
        call_(std::move(call)),
        plan_(std::move(plan)),
        writer_(std::move(writer)) {}

  void find_model() {
    auto status = service_->models.model(plan_.model);
    if (!status) return refuse_model(std::move(status).error());
    if (status->state == inference::ModelState::ready) return prepare(*status);
    service_->models.when_ready(plan_.model, [self = shared_from_this()](auto ready) {
      if (!ready) return self->refuse_model(std::move(ready).error());
      self->prepare(*ready);
    });
  }

 private:
  void refuse_model(Error error) {
    if (error.code == Errc::not_found) error.param = "model";
    answer_fault(call_, error);
  }

  void refuse_use(TextId id) {
    answer_fault(call_,
                 {Error{Errc::invalid_argument, say(call_.language, id, plan_.model), {}, "model"},
                  "model_not_supported"});
  }

  void prepare(const inference::ModelStatus& status) {
    const auto& ready = status.ready;
    if (ready.generates == 0) return refuse_use(TextId::no_generation);
    if (plan_.chat() && ready.chat_template.empty()) return refuse_use(TextId::no_chat_template);
    fingerprint_ = "fp_" + sha256_hex(status.name + '\n' + ready.description + '\n' +
                                      service_->options.version)
                               .substr(0, kFingerprintDigits);
    if (!plan_.chat()) return launch();
    style_ = chat::detect_style(ready.chat_template);
    if (plan_.tools.offered()) {
      const auto& tools = plan_.tools;
      auto grammar = chat::tool_call_grammar(style_.tools, tools.tools_json, tools.choice,
                                             tools.named, tools.parallel);
      if (!grammar) return answer_fault(call_, grammar.error());
      plan_.request.grammar = *std::move(grammar);
    }
    if (style_.reasoning == chat::ReasoningStyle::none ||
        !binds_from_start(plan_.request.grammar)) {
      return launch();
    }
    look_at_prompt();
  }

  // A grammar for the answer must leave room for the reasoning before it. How much depends on how
  // the rendered prompt ends.
  void look_at_prompt() {
    wire::Tokenize request{.prompt = plan_.prompts.front()};
    service_->models.tokenize(
        plan_.model, std::move(request), [self = shared_from_this()](Result<wire::Tokens> tokens) {
          if (!tokens) return answer_fault(self->call_, tokens.error());
          const auto author = self->plan_.tools.offered() ? RulesBy::server : RulesBy::caller;
          auto grammar =
              with_reasoning(std::move(self->plan_.request.grammar), author, tokens->text);
          if (!grammar) return answer_fault(self->call_, grammar.error());
          self->plan_.request.grammar = *std::move(grammar);
          self->launch();
        });
  }

  void launch() {
    const auto run = std::make_shared<GenerationRun>(plan_, call_, style_, std::move(writer_));
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    run->describe(std::chrono::duration_cast<std::chrono::seconds>(now).count(),
                  std::move(fingerprint_));
    GenerationRun::launch(run, service_->models, std::move(plan_));
  }

  const std::shared_ptr<Service> service_;
  const Call call_;
  GenerationPlan plan_;
  std::unique_ptr<AnswerWriter> writer_;
  chat::OutputStyle style_ = {};
  std::string fingerprint_ = {};
};

}  // namespace

void start_generation(const std::shared_ptr<Service>& service, Call call, GenerationPlan plan,
                      std::unique_ptr<AnswerWriter> writer) {
  std::make_shared<Start>(service, std::move(call), std::move(plan), std::move(writer))
      ->find_model();
}

}  // namespace hf::api
