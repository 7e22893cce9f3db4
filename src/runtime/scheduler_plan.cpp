// What the next step computes: decoding rows first, then prompt chunks within the budget.
#include <algorithm>
#include <tuple>

#include "runtime/scheduler_state.hpp"

namespace hf::runtime {
namespace {

constexpr std::uint32_t kChunkMin = 16;    // Smaller chunks cost a step's overhead for nothing.
constexpr std::uint32_t kReplayRows = 16;  // A BLAS library takes over at 32.
constexpr double kGainMin = 1.05;          // Guessing must be this much faster.

// Output computed again, after a crash or without a saved copy, goes in small steps: the kernels for
// large ones round otherwise than those that first computed it, and a greedy answer would turn.
std::uint32_t chunk_of(const Sequence& sequence, std::uint32_t limit) {
  const auto chunk = std::min(sequence.missing(), limit);
  const auto prompt = static_cast<std::uint32_t>(sequence.request.prepared.prompt.size());
  if (sequence.size() <= prompt) return chunk;
  if (sequence.computed < prompt) return std::min(chunk, prompt - sequence.computed);
  return std::min(chunk, kReplayRows);
}

}  // namespace

// Prompt rows of this step.
std::uint32_t Scheduler::State::prompt_budget() const {
  const auto efficient = costs.efficient_rows();
  if (decoding_total == 0) return std::max({options.prefill_tokens, efficient, kChunkMin});
  if (options.step_tokens > 0) {
    return std::max(options.step_tokens - std::min(options.step_tokens, decoding_total), kChunkMin);
  }
  auto budget = efficient;
  if (options.step_ms_target > 0 && costs.known()) {
    const auto within = costs.rows_within(options.step_ms_target);
    budget = std::max(within - std::min(within, decoding_total), kChunkMin);
  }
  return budget;
}

// One adapter a step: those with work take turns, so each gets a step in every round.
AdapterId Scheduler::State::choose_adapter() {
  const auto ready = [this](AdapterId adapter) {
    return std::ranges::any_of(running, [adapter](const Sequence* sequence) {
      return sequence->request.prepared.adapter == adapter && !sequence->awaits();
    });
  };
  for (const auto* sequence : running) {
    const auto adapter = sequence->request.prepared.adapter;
    if (!std::ranges::contains(adapter_turns, adapter)) {
      adapter_turns.insert(adapter_turns.begin(), adapter);
    }
  }
  const auto found = std::ranges::find_if(adapter_turns, ready);
  if (found == adapter_turns.end()) return 0;
  const auto chosen = *found;
  std::rotate(found, found + 1, adapter_turns.end());
  return chosen;
}

// Sorts the running sequences by what they need. False: nothing can be computed.
bool Scheduler::State::collect() {
  decoding.clear();
  prompts.clear();
  decoding_total = 0;
  if (running.empty()) return false;
  const auto first = running.front()->request.prepared.adapter;
  const bool mixed = runner.facts().adapters_per_step == 1 &&
                     std::ranges::any_of(running, [first](const Sequence* sequence) {
                       return sequence->request.prepared.adapter != first;
                     });
  const auto adapter = mixed ? choose_adapter() : first;
  for (auto* sequence : running) {
    if (sequence->awaits()) continue;
    if (sequence->decodes()) ++decoding_total;
    if (mixed && sequence->request.prepared.adapter != adapter) continue;
    (sequence->decodes() ? decoding : prompts).push_back(sequence);
  }
  if (prompts.size() > 1) {
    const auto key = [this](const Sequence* sequence) {
      return std::tuple(std::min(sequence->boost, queue.rank(*sequence, now)), sequence->start_tag,
                        sequence->order);
    };
    std::ranges::sort(prompts, {}, key);
  }
  return !decoding.empty() || !prompts.empty();
}

void Scheduler::State::add_part(Sequence& sequence, std::uint32_t count, std::uint32_t outputs) {
  const auto adapter = sequence.request.prepared.adapter;
  const auto known = sequence.missing();
  for (std::uint32_t i = 0; i < count; ++i) {
    rows.push_back(
        {.token = i < known ? sequence.history[sequence.computed + i] : sequence.guess[i - known],
         .position = sequence.computed + i,
         .sequence = sequence.slot,
         .adapter = adapter,
         .wants_logits = i + outputs >= count});
  }
  parts.push_back({&sequence, count, outputs});
}

void Scheduler::State::add_decoding(std::uint32_t rows_max) {
  const auto count = static_cast<std::uint32_t>(decoding.size());
  const auto taken = std::min(count, rows_max);
  if (taken == 0) return;
  // Where not all fit they take turns.
  const auto begin = taken < count ? turn % count : 0;
  for (std::uint32_t i = 0; i < taken; ++i) {
    auto& sequence = *decoding[(begin + i) % count];
    sequence.guess.clear();
    add_part(sequence, 1, 1);
  }
  if (taken < count) turn = (begin + taken) % count;
}

void Scheduler::State::add_prompts(std::uint32_t rows_max) {
  auto left = std::min(prompt_budget(), rows_max);
  const auto outputs_max = runner.facts().outputs_max;
  auto outputs = static_cast<std::uint32_t>(parts.size());
  // While nobody decodes one prompt may take a long step, but others join only while it stays
  // short: the first ones get their first token early and the rest costs them nothing.
  const auto joint = 2 * costs.efficient_rows();
  std::uint32_t taken = 0;
  for (auto* sequence : prompts) {
    if (left == 0 || (taken > 0 && taken + kChunkMin > joint)) break;
    const auto limit = taken == 0 ? left : std::min(left, std::max(joint, taken) - taken);
    const auto chunk = chunk_of(*sequence, limit);
    const bool last = chunk == sequence->missing();
    if (last && outputs == outputs_max) break;
    add_part(*sequence, chunk, last ? 1 : 0);
    outputs += last ? 1 : 0;
    taken += chunk;
    left -= chunk;
  }
}

// Prompt lookup, where the measured costs say that it pays for the measured luck: the step's
// tokens per millisecond must rise with the guesses.
void Scheduler::State::add_guesses(std::uint32_t rows_max) {
  const auto decoders = static_cast<std::uint32_t>(decoding.size());
  if (!options.speculate || !guesses_may_pay || !runner.facts().truncates || !prompts.empty() ||
      decoders == 0 || decoders > options.draft_sequences_max || decoding_total != decoders ||
      decoders > rows_max) {
    return;
  }
  double tokens_expected = decoders;
  auto rows_planned = decoders;
  for (auto* sequence : decoding) {
    sequence->guess.clear();
    sequence->drafts.guess(sequence->history, options.draft_tokens_max, probe);
    const auto room = sequence->output.tokens_left();
    const auto most = std::min({static_cast<std::uint32_t>(probe.size()), rows_max - rows_planned,
                                room > 0 ? room - 1 : 0, request_tokens_max - sequence->size()});
    const auto rate = sequence->drafts.rate();
    double best = kGainMin * tokens_expected / costs.ms(rows_planned);
    double gain = 0;
    double best_gain = 0;
    double right = 1;
    std::uint32_t guessed = 0;
    for (std::uint32_t count = 1; count <= most; ++count) {
      right *= rate;
      gain += right;
      const auto speed = (tokens_expected + gain) / costs.ms(rows_planned + count);
      if (speed <= best) continue;
      best = speed;
      best_gain = gain;
      guessed = count;
    }
    sequence->guess.assign(probe.begin(), probe.begin() + guessed);
    tokens_expected += best_gain;
    rows_planned += guessed;
  }
  if (rows_planned == decoders) return;
  rows.clear();
  parts.clear();
  for (auto* sequence : decoding) {
    const auto count = 1 + static_cast<std::uint32_t>(sequence->guess.size());
    add_part(*sequence, count, count);
  }
}

// No cell is left for anybody: someone must give some back.
void Scheduler::State::relieve() {
  if (running.size() > 1) {
    preempt(*victim(0));
    attach_awaiting();
    return;
  }
  // It holds all cells alone; there is no room for another token.
  auto& sequence = *running.front();
  sequence.output.end(wire::FinishReason::length);
  report(sequence);
}

bool Scheduler::State::plan() {
  rows.clear();
  parts.clear();
  while (collect()) {
    const auto& facts = runner.facts();
    const auto most = std::min({facts.rows_max, facts.outputs_max, rows_limit});
    // Prompts keep a share of a step that is too small for all.
    auto decoders = static_cast<std::uint32_t>(decoding.size());
    if (!prompts.empty() && decoders >= most) {
      decoders = most > 1 ? most - (most + 3) / 4 : turn++ % 2;
    }
    decoders = std::min(decoders, most);
    if (!pool.make_room(std::max(decoders, 1U))) {
      relieve();
      continue;
    }
    add_decoding(decoders);
    const auto room =
        std::min(facts.rows_max, rows_limit) - static_cast<std::uint32_t>(rows.size());
    if (!prompts.empty()) {
      std::uint32_t wanted = 0;
      for (const auto* sequence : prompts) wanted += sequence->missing();
      (void)pool.make_room(decoders + std::min({room, prompt_budget(), wanted}));
      add_prompts(std::min(room, pool.cells().free_cells() - decoders));
    } else {
      add_guesses(std::min(most, pool.cells().free_cells()));
    }
    if (!rows.empty()) return true;
    relieve();
  }
  return false;
}

}  // namespace hf::runtime
