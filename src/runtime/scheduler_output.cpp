// Computes the planned step and turns its logits into tokens, text and events.
#include <algorithm>

#include "runtime/scheduler_state.hpp"

namespace hf::runtime {
namespace {

constexpr double kRecent = 0.1;  // Weight of the newest step in the moving average.
// An output longer than guessed is expected to go on this much.
constexpr std::uint32_t kFurtherTokens = 32;

}  // namespace

Result<bool> Scheduler::State::compute() {
  rows_limit = UINT32_MAX;
  while (plan()) {
    for (const auto& part : parts) announce(part.sequence->request);
    const auto started = clock.now();
    const auto outcome = HF_TRY(runner.step(rows));
    if (outcome == StepOutcome::done) {
      const auto took = to_ms(clock.now() - started);
      counts.step_ms_recent += counts.steps == 0 ? took : kRecent * (took - counts.step_ms_recent);
      ++counts.steps;
      absorb();
      return true;
    }
    // The runner found less room than the ledger says (fragments): try with less, then free more.
    if (pool.evict_one()) continue;
    if (rows.size() > 1) {
      rows_limit = static_cast<std::uint32_t>(rows.size() / 2);
    } else {
      relieve();
    }
  }
  return true;
}

void Scheduler::State::absorb() {
  // A request ends with its last choice, and only that frees sequences: those of later parts stay.
  std::size_t output = 0;
  for (const auto& part : parts) {
    absorb_part(part, output);
    output += part.outputs;
  }
}

void Scheduler::State::absorb_part(const Part& part, std::size_t first_output) {
  auto& sequence = *part.sequence;
  pool.append(sequence.slot, part.rows);
  sequence.computed += part.rows;
  sequence.paid += part.rows;
  if (part.outputs == 0) {
    counts.prompt_tokens += part.rows;
    return;
  }
  // All rows but the newest token and guesses were prompt.
  counts.prompt_tokens += sequence.output.tokens() == 0 ? part.rows : part.rows - part.outputs;
  const auto wrong = take_outputs(sequence, first_output, part.outputs);
  if (wrong > 0) {
    sequence.computed -= wrong;
    pool.truncate(sequence.slot, sequence.computed);
  }
  auto& request = sequence.request;
  if (!request.first_token) request.first_token = clock.now();
  report(sequence);
}

// Returns how many of the computed guesses were wrong.
std::uint32_t Scheduler::State::take_outputs(Sequence& sequence, std::size_t first_output,
                                             std::uint32_t outputs) {
  const bool learns =
      guesses_may_pay && options.speculate && decoding.size() <= options.draft_sequences_max;
  std::uint32_t right = 0;
  for (std::uint32_t i = 0; i < outputs; ++i) {
    if (learns) {
      sequence.drafts.extend(sequence.history);
      sequence.drafts.guess(sequence.history, 1, probe);
    }
    const auto token = sequence.output.next(runner.logits(first_output + i));
    if (!token) break;
    if (learns && !probe.empty()) sequence.drafts.observe(probe.front() == *token);
    sequence.history.push_back(*token);
    ++counts.generated_tokens;
    if (sequence.output.ended() || i + 1 == outputs || sequence.guess[i] != *token) break;
    ++right;
  }
  counts.drafted_tokens += outputs - 1;
  counts.accepted_tokens += right;
  if (sequence.size() > sequence.expected) sequence.expected = sequence.size() + kFurtherTokens;
  return outputs - 1 - right;
}

void Scheduler::State::announce(ActiveRequest& request) {
  if (request.started) return;
  request.started = true;
  const auto& prepared = request.prepared;
  emit(wire::Started{.id = prepared.request.id,
                     .prompt_tokens = static_cast<std::uint32_t>(prepared.prompt.size()),
                     .cached_tokens = request.cached_tokens,
                     .tokens = prepared.prompt,
                     .reasoning_open = static_cast<std::uint8_t>(prepared.reasoning_open ? 1 : 0)});
}

void Scheduler::State::report(Sequence& sequence) {
  auto& request = sequence.request;
  auto& output = sequence.output;
  if (output.has_delta()) {
    announce(request);
    emit(output.take_delta());
  }
  if (!output.ended()) return;
  const auto& ending = output.ending();
  const auto id = request.prepared.request.id;
  emit(wire::ChoiceDone{.id = id,
                        .choice = output.choice(),
                        .reason = ending.reason,
                        .stop_string = ending.stop_string,
                        .completion_tokens = output.tokens()});
  if (ending.reason != wire::FinishReason::cancelled) lengths.add(output.tokens());
  leave(sequence);
  if (--request.open > 0) return;
  const auto ended = clock.now();
  const auto arrived = request.prepared.arrived;
  const auto admitted = request.admitted.value_or(ended);
  const auto first = request.first_token.value_or(ended);
  wire::Done done{.id = id,
                  .prompt_tokens = static_cast<std::uint32_t>(request.prepared.prompt.size()),
                  .cached_tokens = request.cached_tokens,
                  .completion_tokens = request.tokens_resumed,
                  .queue_ms = to_ms(admitted - arrived),
                  .prefill_ms = to_ms(first - admitted),
                  .decode_ms = to_ms(ended - first)};
  for (const auto& choice : request.choices) done.completion_tokens += choice->output.tokens();
  emit(done);
  requests.erase(id);
}

// Gives back what the sequence holds; its tokens stay cached.
void Scheduler::State::leave(Sequence& sequence) {
  switch (sequence.place) {
    case Sequence::Place::waiting:
      queue.remove(sequence);
      break;
    case Sequence::Place::running:
      std::erase(running, &sequence);
      pool.close_cached(sequence.slot, std::span(sequence.history).first(sequence.computed));
      queue.settle(sequence, sequence.paid);
      break;
    case Sequence::Place::preempted:
      std::erase(preempted, &sequence);
      pool.discard(sequence.saved);
      queue.settle(sequence, sequence.paid);
      break;
    case Sequence::Place::ended:
      return;
  }
  sequence.place = Sequence::Place::ended;
}

}  // namespace hf::runtime
