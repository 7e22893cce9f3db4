#include "api/generation_run.hpp"

#include <algorithm>
#include <utility>

#include "api/texts.hpp"
#include "base/log.hpp"

namespace hf::api {
namespace {

bool is_empty(const chat::OutputDelta& delta) {
  return delta.reasoning.empty() && delta.content.empty() && delta.tool_calls.empty();
}

// True if the answer goes on behind its first call.
bool passes_first_call(const TranscriptChoice& so_far, const chat::OutputDelta& delta) {
  const bool second = std::ranges::any_of(
      delta.tool_calls, [](const chat::ToolCallDelta& call) { return call.index > 0; });
  return second || (!so_far.calls.empty() && !delta.content.empty());
}

void append(TranscriptChoice& choice, const chat::OutputDelta& delta) {
  choice.reasoning += delta.reasoning;
  choice.content += delta.content;
  for (const auto& call : delta.tool_calls) {
    if (!call.id.empty()) choice.calls.push_back({.id = call.id, .name = call.name});
    choice.calls.back().arguments += call.arguments;
  }
}

}  // namespace

class GenerationRun::Listener final : public inference::GenerationListener {
 public:
  Listener(std::shared_ptr<GenerationRun> run, std::uint32_t part)
      : run_(std::move(run)), part_(part) {}
  void on_started(const wire::Started& event) override { run_->on_started(part_, event); }
  void on_delta(const wire::Delta& event) override { run_->on_delta(part_, event); }
  void on_choice_done(const wire::ChoiceDone& event) override {
    run_->on_choice_done(part_, event);
  }
  void on_done(const wire::Done& event) override { run_->on_done(part_, event); }
  void on_failed(const Error& error) override { run_->on_failed(part_, error); }

 private:
  std::shared_ptr<GenerationRun> run_;
  std::uint32_t part_;
};

GenerationRun::GenerationRun(const GenerationPlan& plan, const Call& call, chat::OutputStyle style,
                             std::unique_ptr<AnswerWriter> writer)
    : sink_(call.sink),
      language_(call.language),
      request_id_(call.request.id),
      stream_(plan.stream),
      chat_(plan.chat()),
      tools_allowed_(plan.tools.offered()),
      one_call_(plan.tools.offered() && !plan.tools.parallel),
      keeps_logprobs_(plan.request.sampling.logprobs >= 0 && !plan.stream),
      choices_per_part_(plan.request.choices),
      style_(style),
      writer_(std::move(writer)),
      choices_(plan.prompts.size() * choices_per_part_),
      parts_(plan.prompts.size()),
      parts_open_(static_cast<std::uint32_t>(plan.prompts.size())) {
  transcript_.id = plan.id;
  transcript_.model = plan.model;
  transcript_.choices.resize(choices_.size());
}

void GenerationRun::describe(std::int64_t created, std::string fingerprint) {
  const Lock lock(mutex_);
  transcript_.created = created;
  transcript_.fingerprint = std::move(fingerprint);
}

void GenerationRun::launch(const std::shared_ptr<GenerationRun>& run, inference::Inference& models,
                           GenerationPlan plan) {
  run->sink_->on_gone([weak = std::weak_ptr(run)] {
    if (const auto alive = weak.lock()) alive->leave();
  });
  for (std::uint32_t part = 0; part < plan.prompts.size() && !run->closed_; ++part) {
    auto request = part + 1 < plan.prompts.size() ? plan.request : std::move(plan.request);
    request.prompt = std::move(plan.prompts[part]);
    // Parts of one request draw different numbers.
    request.sampling.seed += part;
    auto handle =
        models.generate(plan.model, std::move(request), std::make_shared<Listener>(run, part));
    if (!handle) return run->on_failed(part, handle.error());
    run->keep(part, *std::move(handle));
  }
}

void GenerationRun::keep(std::uint32_t part, std::unique_ptr<inference::Generation> handle) {
  const Lock lock(handles_mutex_);
  if (!closed_ && !parts_[part].over) parts_[part].handle.swap(handle);
}

void GenerationRun::leave() {
  closed_ = true;
  drop_all();
}

void GenerationRun::drop_all() {
  std::vector<std::unique_ptr<inference::Generation>> dropped;
  const Lock lock(handles_mutex_);
  for (auto& part : parts_) dropped.push_back(std::move(part.handle));
}

void GenerationRun::settle(std::uint32_t part, Wish wish) {
  if (closed_) return drop_all();
  if (wish == Wish::none) return;
  std::unique_ptr<inference::Generation> handle;
  {
    const Lock lock(handles_mutex_);
    if (wish == Wish::drop) parts_[part].over = true;
    handle.swap(parts_[part].handle);
  }
  if (!handle || wish == Wish::drop) return;
  handle->cancel();
  keep(part, std::move(handle));
}

// ---- events -----------------------------------------------------------------------------------

void GenerationRun::on_started(std::uint32_t part, const wire::Started& event) {
  {
    const Lock lock(mutex_);
    if (closed_ || phase_ == Phase::ended) return;
    begin_part(part, event.reasoning_open != 0);
    flush();
  }
  settle(part, Wish::none);
}

void GenerationRun::on_delta(std::uint32_t part, const wire::Delta& event) {
  auto wish = Wish::none;
  {
    const Lock lock(mutex_);
    if (closed_ || phase_ == Phase::ended || event.choice >= choices_per_part_) return;
    begin_part(part, false);
    const auto index = index_of(part, event.choice);
    auto& choice = choices_[index];
    if (choice.finished) return;
    if (choice.parser) {
      add(index, choice.parser->feed(event.text), event);
    } else {
      add(index, {.content = event.text}, event);
    }
    if (choice.finished && part_closed(part)) wish = Wish::cancel;
    flush();
  }
  settle(part, wish);
}

void GenerationRun::on_choice_done(std::uint32_t part, const wire::ChoiceDone& event) {
  {
    const Lock lock(mutex_);
    if (closed_ || phase_ == Phase::ended || event.choice >= choices_per_part_) return;
    begin_part(part, false);
    const auto index = index_of(part, event.choice);
    if (choices_[index].finished) return;
    if (event.reason == wire::FinishReason::cancelled) {
      fail({Error{Errc::unavailable, std::string(pattern(language_, TextId::shutting_down))}});
    } else {
      close_choice(index, event.reason);
      flush();
    }
  }
  settle(part, Wish::none);
}

void GenerationRun::on_done(std::uint32_t part, const wire::Done& event) {
  {
    const Lock lock(mutex_);
    if (!closed_ && phase_ != Phase::ended) {
      begin_part(part, false);
      auto& usage = transcript_.usage;
      usage.prompt += event.prompt_tokens;
      usage.cached += event.cached_tokens;
      usage.completion += event.completion_tokens;
      for (std::uint32_t i = 0; i < choices_per_part_; ++i) {
        close_choice(index_of(part, i), wire::FinishReason::stop);
      }
      if (--parts_open_ == 0) finish();
    }
  }
  settle(part, Wish::drop);
}

void GenerationRun::on_failed(std::uint32_t part, const Error& error) {
  {
    const Lock lock(mutex_);
    if (!closed_ && phase_ != Phase::ended) fail(error);
  }
  settle(part, Wish::drop);
}

// ---- under the lock ---------------------------------------------------------------------------

void GenerationRun::begin_part(std::uint32_t part, bool reasoning_open) {
  if (parts_[part].begun) return;
  parts_[part].begun = true;
  for (std::uint32_t i = 0; i < choices_per_part_; ++i) {
    auto& choice = choices_[index_of(part, i)];
    if (!chat_) continue;
    auto style = style_;
    style.reasoning_open = reasoning_open;
    choice.parser.emplace(style, tools_allowed_,
                          transcript_.id + '/' + std::to_string(index_of(part, i)));
  }
  if (!stream_ || phase_ != Phase::waiting) return;
  phase_ = Phase::streaming;
  const auto state =
      sink_->start_stream(200, "text/event-stream; charset=utf-8",
                          {{"cache-control", "no-cache"}, {"x-accel-buffering", "no"}});
  if (state == SinkState::gone) closed_ = true;
  writer_->begin(transcript_, out_);
}

void GenerationRun::count_reasoning(Choice& choice, const chat::OutputDelta& delta,
                                    std::size_t tokens) {
  choice.tokens_unseen += tokens;
  if (choice.answering) return;
  if (!delta.reasoning.empty()) {
    transcript_.usage.reasoning += std::exchange(choice.tokens_unseen, 0);
  }
  choice.answering = !delta.content.empty() || !delta.tool_calls.empty();
}

// Those of the answer itself: what turns out to be reasoning has none.
std::vector<wire::TokenLogprob> GenerationRun::take_logprobs(Choice& choice,
                                                             const chat::OutputDelta& delta,
                                                             const wire::Delta& event) {
  auto& unseen = choice.logprobs_unseen;
  unseen.insert(unseen.end(), event.logprobs.begin(), event.logprobs.end());
  const bool answer = !delta.content.empty() || !delta.tool_calls.empty();
  if (answer) return std::exchange(unseen, {});
  if (!delta.reasoning.empty()) unseen.clear();
  return {};
}

void GenerationRun::add(std::uint32_t index, chat::OutputDelta delta, const wire::Delta& event) {
  auto& choice = choices_[index];
  auto& written = transcript_.choices[index];
  const bool ends = one_call_ && passes_first_call(written, delta);
  if (ends) {
    delta.content.clear();
    std::erase_if(delta.tool_calls, [](const auto& call) { return call.index > 0; });
  }
  count_reasoning(choice, delta, event.tokens.size());
  append(written, delta);
  const auto logprobs = take_logprobs(choice, delta, event);
  if (keeps_logprobs_) {
    written.logprobs.insert(written.logprobs.end(), logprobs.begin(), logprobs.end());
  }
  if (stream_ && !is_empty(delta)) writer_->add(transcript_, {index, delta, logprobs}, out_);
  if (!ends) return;
  choice.parser.reset();  // What it holds back lies behind the call.
  close_choice(index, wire::FinishReason::stop);
}

void GenerationRun::close_choice(std::uint32_t index, wire::FinishReason reason) {
  auto& choice = choices_[index];
  if (choice.finished) return;
  if (auto parser = std::exchange(choice.parser, std::nullopt)) add(index, parser->finish(), {});
  if (choice.finished) return;
  choice.finished = true;
  transcript_.choices[index].reason = reason;
  if (stream_) writer_->close(transcript_, index, out_);
}

bool GenerationRun::part_closed(std::uint32_t part) const {
  for (std::uint32_t i = 0; i < choices_per_part_; ++i) {
    if (!choices_[index_of(part, i)].finished) return false;
  }
  return true;
}

void GenerationRun::flush() {
  if (phase_ != Phase::streaming || out_.empty()) return;
  if (sink_->write(std::exchange(out_, {})) == SinkState::gone) closed_ = true;
}

void GenerationRun::fail(const Fault& fault) {
  if (status_of(fault).status >= 500) {
    log::warn("request {}: {} ({})", request_id_, fault.error.message, fault.error.detail);
  }
  if (phase_ == Phase::streaming) {
    writer_->fail(transcript_, fault, out_);
    flush();
    sink_->finish();
  } else {
    sink_->respond(fault_response(fault));
  }
  phase_ = Phase::ended;
  closed_ = true;
}

void GenerationRun::finish() {
  const auto late = [](const TranscriptChoice& choice) {
    return choice.reason == wire::FinishReason::deadline;
  };
  if (phase_ == Phase::waiting && transcript_.usage.completion == 0 &&
      std::ranges::any_of(transcript_.choices, late)) {
    return fail(
        {Error{Errc::deadline_exceeded, std::string(pattern(language_, TextId::too_slow))}});
  }
  if (phase_ == Phase::streaming) {
    writer_->end(transcript_, out_);
    flush();
    sink_->finish();
  } else {
    writer_->whole(transcript_, out_);
    sink_->respond({.body = std::exchange(out_, {})});
  }
  phase_ = Phase::ended;
  closed_ = true;
}

}  // namespace hf::api
