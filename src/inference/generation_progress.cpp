#include "inference/generation_progress.hpp"

#include <algorithm>
#include <utility>

namespace hf::inference {

GenerationProgress::GenerationProgress(wire::Generate request)
    : request_(std::move(request)), choices_(std::max(1U, request_.choices)) {}

GenerationProgress::Choice* GenerationProgress::open_choice(std::uint32_t index) {
  if (index >= choices_.size() || choices_[index].completion_tokens) return nullptr;
  return &choices_[index];
}

bool GenerationProgress::started(const wire::Started& event) {
  if (started_) return false;
  started_ = event;
  return true;
}

bool GenerationProgress::delta(const wire::Delta& event) {
  auto* choice = open_choice(event.choice);
  if (choice == nullptr) return false;
  choice->tokens.insert(choice->tokens.end(), event.tokens.begin(), event.tokens.end());
  choice->text_bytes += static_cast<std::uint32_t>(event.text.size());
  tokens_delivered_ += event.tokens.size();
  return true;
}

bool GenerationProgress::choice_done(const wire::ChoiceDone& event) {
  auto* choice = open_choice(event.choice);
  if (choice == nullptr) return false;
  choice->completion_tokens = event.completion_tokens;
  return true;
}

wire::Done GenerationProgress::closed(wire::Done event) const {
  event.id = request_.id;
  if (!resumed_) return event;
  if (started_) {
    event.prompt_tokens = started_->prompt_tokens;
    event.cached_tokens = started_->cached_tokens;
  }
  event.completion_tokens = 0;
  for (const auto& choice : choices_) {
    event.completion_tokens +=
        choice.completion_tokens.value_or(static_cast<std::uint32_t>(choice.tokens.size()));
  }
  return event;
}

wire::Generate GenerationProgress::request(Duration spent) const {
  auto request = request_;
  if (request.deadline_ms > 0) {
    const auto spent_ms = std::chrono::duration_cast<std::chrono::milliseconds>(spent).count();
    const auto left_ms = static_cast<std::int64_t>(request.deadline_ms) - spent_ms;
    request.deadline_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(1, left_ms));
  }
  if (!started_) return request;
  request.resume_prompt = started_->tokens;
  for (const auto& choice : choices_) {
    request.resume.push_back(choice.tokens);
    request.resume_finished.push_back(choice.completion_tokens ? 1 : 0);
    request.resume_text_bytes.push_back(choice.text_bytes);
  }
  return request;
}

bool GenerationProgress::complete() const {
  return std::ranges::all_of(
      choices_, [](const Choice& choice) { return choice.completion_tokens.has_value(); });
}

std::vector<wire::ChoiceDone> GenerationProgress::finish_rest(wire::FinishReason reason) {
  std::vector<wire::ChoiceDone> events;
  for (std::uint32_t i = 0; i < choices_.size(); ++i) {
    auto& choice = choices_[i];
    if (choice.completion_tokens) continue;
    choice.completion_tokens = static_cast<std::uint32_t>(choice.tokens.size());
    events.push_back({.id = request_.id,
                      .choice = i,
                      .reason = reason,
                      .stop_string = {},
                      .completion_tokens = *choice.completion_tokens});
  }
  return events;
}

}  // namespace hf::inference
