// Who runs: admission by memory, prefixes taken over from other sequences, preemption.
#include <algorithm>
#include <tuple>

#include "runtime/scheduler_state.hpp"

namespace hf::runtime {
namespace {

// Waiting for another sequence's prefill must save at least this many tokens.
constexpr std::uint32_t kAwaitedGainMin = 16;

std::span<const Token> prefix_of(const Sequence& sequence) {
  // The last token is always computed: its logits are wanted.
  return std::span(sequence.history).first(sequence.history.size() - 1);
}

}  // namespace

// Preempted ones were promised their turn: of the same class they go first.
Sequence* Scheduler::State::next_candidate() const {
  auto* fresh = static_cast<Sequence*>(queue.next(now));
  if (preempted.empty()) return fresh;
  auto* old = *std::ranges::min_element(preempted, {}, [this](const Sequence* sequence) {
    return std::tuple(queue.rank(*sequence, now), sequence->order);
  });
  return fresh != nullptr && queue.rank(*fresh, now) < queue.rank(*old, now) ? fresh : old;
}

bool Scheduler::State::fits(const Sequence& sequence) const {
  if (running.empty()) return true;
  if (running.size() >= options.running_max || !pool.can_open()) return false;
  std::uint64_t promised = 0;
  for (const auto* other : running) {
    const auto there = std::max(other->computed, other->awaited_tokens);
    promised += std::max(other->expected, other->size()) - there;
  }
  std::uint64_t needed = std::max(sequence.expected, sequence.size());
  if (sequence.saved.tokens == 0) {
    const auto found = pool.find(sequence.request.key, prefix_of(sequence));
    needed -= std::min<std::uint64_t>(needed, pool.shared_for_free(found));
  }
  const auto& cells = pool.cells();
  const std::uint64_t total = runner.facts().cells_total;
  return cells.live() + promised + needed <= total;
}

Sequence* Scheduler::State::victim(std::uint32_t rank_above) const {
  Sequence* worst = nullptr;
  const auto key = [this](const Sequence& sequence) {
    return std::tuple(-static_cast<std::int64_t>(queue.rank(sequence, now)), sequence.computed,
                      -static_cast<std::int64_t>(sequence.order));
  };
  for (auto* sequence : running) {
    if (queue.rank(*sequence, now) < rank_above) continue;
    if (worst == nullptr || key(*sequence) < key(*worst)) worst = sequence;
  }
  return worst;
}

void Scheduler::State::admit() {
  while (auto* candidate = next_candidate()) {
    while (!fits(*candidate)) {
      // Only a class that is better from birth takes a place away; waiting alone does not.
      auto* worse = victim(static_cast<std::uint32_t>(candidate->priority) + 1);
      if (worse == nullptr) return;
      preempt(*worse);
    }
    start(*candidate);
  }
}

void Scheduler::State::start(Sequence& sequence) {
  if (sequence.place == Sequence::Place::waiting) {
    queue.take(sequence, static_cast<double>(sequence.expected));
    if (!sequence.request.admitted) sequence.request.admitted = now;
  } else {
    std::erase(preempted, &sequence);
  }
  sequence.place = Sequence::Place::running;
  sequence.order = ++orders;
  sequence.slot = pool.open(sequence.request.key, sequence.history, sequence.order);
  running.push_back(&sequence);
  attach_prefix(sequence);
}

void Scheduler::State::attach_prefix(Sequence& sequence) {
  sequence.awaited_order = 0;
  sequence.awaited_tokens = 0;
  const auto prefix = prefix_of(sequence);
  auto there = pool.find_computed(sequence.slot, prefix);
  if (sequence.saved.tokens > there.tokens + kAwaitedGainMin) {
    if (const auto saved = sequence.saved.tokens; pool.restore(sequence.slot, sequence.saved)) {
      sequence.computed = saved;
      return;
    }
    // Trying may have evicted what was found.
    there = pool.find_computed(sequence.slot, prefix);
  }
  pool.discard(sequence.saved);
  const auto archived = sequence.computed == 0 ? pool.find_archived(sequence.slot, prefix) : 0;
  const auto coming = pool.find_coming(sequence.slot, prefix);
  if (coming.tokens >= std::max({there.tokens, sequence.computed, archived}) + kAwaitedGainMin) {
    sequence.awaited = coming.sequence;
    sequence.awaited_order = pool.order(coming.sequence);
    sequence.awaited_tokens = coming.tokens;
    return;
  }
  if (archived >= there.tokens + kAwaitedGainMin) {
    if (const auto taken = pool.take_archived(sequence.slot, prefix); taken > 0) {
      note_gained(sequence, taken);
      return;
    }
    there = pool.find_computed(sequence.slot, prefix);
  }
  if (there.tokens <= sequence.computed) return;
  pool.share(there.sequence, sequence.slot, there.tokens);
  note_gained(sequence, there.tokens);
}

void Scheduler::State::note_gained(Sequence& sequence, std::uint32_t there) {
  counts.cached_tokens += there - sequence.computed;
  sequence.computed = there;
  auto& request = sequence.request;
  if (!request.started) {
    const auto prompt = static_cast<std::uint32_t>(request.prepared.prompt.size());
    request.cached_tokens = std::min(there, prompt);
  }
}

// Awaited orders are always older, so that waiting cannot go in a circle.
void Scheduler::State::attach_awaiting() {
  for (auto* sequence : running) {
    if (!sequence->awaits()) continue;
    const bool open = pool.is_open(sequence->awaited, sequence->awaited_order);
    if (!open || pool.cells().tokens(sequence->awaited) >= sequence->awaited_tokens) {
      attach_prefix(*sequence);
    }
  }
  for (auto it = running.rbegin(); it != running.rend(); ++it) {
    auto& sequence = **it;
    if (!sequence.awaits()) continue;
    const auto rank = std::min(queue.rank(sequence, now), sequence.boost);
    for (auto* other : running) {
      if (other->order == sequence.awaited_order) other->boost = std::min(other->boost, rank);
    }
  }
}

void Scheduler::State::preempt(Sequence& sequence) {
  sequence.saved = pool.save(sequence.slot);
  pool.close(sequence.slot);
  std::erase(running, &sequence);
  sequence.place = Sequence::Place::preempted;
  sequence.computed = 0;
  sequence.awaited_order = 0;
  sequence.awaited_tokens = 0;
  sequence.boost = UINT32_MAX;
  preempted.push_back(&sequence);
  ++counts.preemptions;
}

}  // namespace hf::runtime
