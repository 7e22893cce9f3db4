#include "runtime/choice_output.hpp"

#include <algorithm>
#include <utility>

namespace hf::runtime {
namespace {

constexpr std::size_t kRepicksMax = 64;

wire::Sampling limited(wire::Sampling sampling) {
  sampling.logprobs = std::clamp(sampling.logprobs, -1, 20);
  return sampling;
}

}  // namespace

ChoiceOutput::ChoiceOutput(const PreparedRequest& prepared, std::uint32_t choice,
                           std::uint32_t tokens_max, const TokenTexts& texts,
                           const grammar::TokenTable& table)
    : texts_(texts),
      sampler_(limited(prepared.request.sampling), choice, prepared.prompt),
      assembler_(prepared.request.stop),
      ignore_end_tokens_(prepared.request.ignore_eos != 0),
      tokens_max_(tokens_max) {
  if (prepared.grammar != nullptr) {
    gate_ = GrammarGate(prepared.grammar, prepared.request.grammar.triggers, texts, table);
  }
  delta_.id = prepared.request.id;
  delta_.choice = choice;
}

void ChoiceOutput::replay(std::span<const Token> tokens, std::optional<std::uint32_t> text_bytes) {
  text_skip_ = text_bytes.value_or(0);
  for (const auto token : tokens) {
    if (ended()) break;
    take(token);
  }
  if (!text_bytes) delta_.text.clear();
  delta_.tokens.clear();
}

std::optional<Token> ChoiceOutput::next(std::span<float> logits) {
  auto picked = pick(logits);
  const bool constrained = gate_.constraint() != nullptr;
  if (texts_.ends(picked.token) && (constrained || !ignore_end_tokens_)) {
    end(wire::FinishReason::stop);
    return std::nullopt;
  }
  if (!take(picked.token)) return std::nullopt;
  if (picked.logprob) add_logprob(*std::move(picked.logprob));
  return picked.token;
}

Picked ChoiceOutput::pick(std::span<float> logits) const {
  if (gate_.present() && gate_.triggered()) return pick_behind_triggers(logits);
  return sampler_.pick(logits, gate_.constraint(), {});
}

// A token may hold a trigger's end and more; what follows the trigger must fit the grammar already.
Picked ChoiceOutput::pick_behind_triggers(std::span<float> logits) const {
  thread_local std::vector<float> saved;
  const bool changes = !sampler_.greedy();
  if (changes) saved.assign(logits.begin(), logits.end());
  auto picked = sampler_.pick(logits, gate_.constraint(), {});
  std::vector<Token> banned;
  while (banned.size() < kRepicksMax && !gate_.admits(picked.token)) {
    banned.push_back(picked.token);
    if (changes) std::ranges::copy(saved, logits.begin());
    picked = sampler_.pick(logits, gate_.constraint(), banned);
  }
  return picked;
}

bool ChoiceOutput::take(Token token) {
  if (!gate_.accept(token) && !gate_.triggered()) {
    // The vocabulary has no token for what the grammar wants next: there is no way on.
    end(wire::FinishReason::length);
    return false;
  }
  sampler_.accept(token);
  ++tokens_;
  delta_.tokens.push_back(token);
  auto fed = assembler_.feed(texts_.text(token));
  add_text(fed.text);
  if (fed.stop_string) {
    end_ = {.reason = wire::FinishReason::stop, .stop_string = *std::move(fed.stop_string)};
  } else if (gate_.must_end()) {
    end(wire::FinishReason::stop);
  } else if (tokens_ >= tokens_max_) {
    end(wire::FinishReason::length);
  }
  return true;
}

void ChoiceOutput::end(wire::FinishReason reason) {
  if (ended()) return;
  add_text(assembler_.finish());
  end_ = {.reason = reason};
}

void ChoiceOutput::add_text(std::string_view text) {
  const auto skipped = std::min(text_skip_, text.size());
  text_skip_ -= skipped;
  delta_.text += text.substr(skipped);
}

void ChoiceOutput::add_logprob(wire::TokenLogprob logprob) {
  logprob.bytes = texts_.text(logprob.token);
  for (auto& other : logprob.top) other.bytes = texts_.text(other.token);
  delta_.logprobs.push_back(std::move(logprob));
}

wire::Delta ChoiceOutput::take_delta() {
  wire::Delta fresh;
  fresh.id = delta_.id;
  fresh.choice = delta_.choice;
  return std::exchange(delta_, std::move(fresh));
}

}  // namespace hf::runtime
