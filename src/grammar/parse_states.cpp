#include "grammar/parse_states.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace hf::grammar {
namespace {

bool before(const Frame& left, const Frame& right) {
  const auto id = [](const Frame& frame) { return frame.below == nullptr ? 0 : frame.below->id; };
  return std::tuple(left.state, id(left)) < std::tuple(right.state, id(right));
}

bool same(const Frame& left, const Frame& right) {
  return left.state == right.state && left.below == right.below;
}

std::size_t mix(std::size_t hash, std::size_t value) {
  hash ^= value + 0x9E3779B97F4A7C15U + (hash << 6U) + (hash >> 2U);
  return hash * 0xFF51AFD7ED558CCDU;
}

struct ItemHash {
  std::size_t operator()(const std::pair<std::uint32_t, std::uint32_t>& key) const {
    return mix(mix(0, key.first), key.second);
  }
};

}  // namespace

/// Everything reachable from a set of places without reading a byte.
struct ParseStates::Closure {
  std::vector<Item> work = {};
  std::unordered_set<std::pair<std::uint32_t, std::uint32_t>, ItemHash> seen = {};
  std::vector<Item> items = {};
  std::map<std::uint32_t, std::vector<Frame>> called = {};  ///< By the order of the rule.
  std::size_t cost = 0;
  std::size_t depth = 0;
  bool can_end = false;

  void visit(std::uint32_t state, const Stack* stack) {
    if (seen.emplace(state, stack->id).second) work.push_back({state, stack});
  }
  void call(const Automaton& automaton, const CallEdge& edge, const Stack* stack) {
    auto& frames = called[automaton.entry(edge.rule).order];
    if (automaton.state(edge.target).tail) {
      frames.insert(frames.end(), stack->frames.begin(), stack->frames.end());
      cost += stack->frames.size();
    } else {
      frames.push_back({edge.target, stack});
      ++cost;
    }
  }
};

std::size_t ParseStates::Hash::operator()(const Stack* stack) const {
  std::size_t hash = stack->frames.size();
  for (const auto& frame : stack->frames) {
    hash = mix(mix(hash, frame.state), frame.below == nullptr ? 0 : frame.below->id);
  }
  return hash;
}

std::size_t ParseStates::Hash::operator()(const ParseState* state) const {
  std::size_t hash = state->can_end ? 1 : 0;
  for (const auto& item : state->items) hash = mix(mix(hash, item.state), item.stack->id);
  return hash;
}

bool ParseStates::Equal::operator()(const Stack* left, const Stack* right) const {
  return std::ranges::equal(left->frames, right->frames, same);
}

bool ParseStates::Equal::operator()(const ParseState* left, const ParseState* right) const {
  return left->can_end == right->can_end &&
         std::ranges::equal(left->items, right->items, [](const Item& a, const Item& b) {
           return a.state == b.state && a.stack == b.stack;
         });
}

ParseStates::ParseStates(const Automaton& automaton, std::size_t stacks_max)
    : automaton_(automaton), stacks_max_(stacks_max) {
  prepare(dead_);
  prepare(over_limit_);
  for (std::size_t i = 0; i < automaton_.classes(); ++i) {
    dead_.next[i].store(&dead_, std::memory_order_relaxed);
    over_limit_.next[i].store(&over_limit_, std::memory_order_relaxed);
  }
  const Lock lock(mutex_);
  const auto* bottom = intern({{kTextEnd, nullptr}});
  start_ = close({{automaton_.entry(automaton_.root()).start, bottom}});
}

void ParseStates::prepare(ParseState& state) const {
  state.next = std::make_unique<std::atomic<const ParseState*>[]>(automaton_.classes());
}

const Stack* ParseStates::intern(std::vector<Frame> frames) {
  std::ranges::sort(frames, before);
  const auto repeated = std::ranges::unique(frames, same);
  frames.erase(repeated.begin(), repeated.end());
  Stack probe{.frames = std::move(frames)};
  if (const auto known = stack_index_.find(&probe); known != stack_index_.end()) return *known;
  probe.id = static_cast<std::uint32_t>(stacks_.size() + 1);
  for (const auto& frame : probe.frames) {
    if (frame.below != nullptr) probe.depth = std::max(probe.depth, frame.below->depth + 1);
  }
  probe.frames.shrink_to_fit();
  bytes_.fetch_add(sizeof(Stack) + 48 + probe.frames.size() * sizeof(Frame),
                   std::memory_order_relaxed);
  stacks_.push_back(std::move(probe));
  stack_index_.insert(&stacks_.back());
  return &stacks_.back();
}

const ParseState* ParseStates::intern(std::vector<Item> items, bool can_end) {
  if (items.empty() && !can_end) return &dead_;
  ParseState probe;
  probe.items = std::move(items);
  probe.can_end = can_end;
  if (const auto known = state_index_.find(&probe); known != state_index_.end()) return *known;
  probe.items.shrink_to_fit();
  prepare(probe);
  bytes_.fetch_add(sizeof(ParseState) + 48 + probe.items.size() * sizeof(Item) +
                       automaton_.classes() * sizeof(void*),
                   std::memory_order_relaxed);
  states_.push_back(std::move(probe));
  state_index_.insert(&states_.back());
  return &states_.back();
}

const ParseState* ParseStates::discover(const ParseState* from, std::uint8_t byte) {
  const Lock lock(mutex_);
  auto& slot = from->next[automaton_.class_of(byte)];
  if (const auto* known = slot.load(std::memory_order_acquire)) return known;
  std::vector<Item> kernel;
  for (const auto& item : from->items) {
    for (const auto& edge : automaton_.bytes(item.state)) {
      if (edge.first <= byte && byte <= edge.last) kernel.push_back({edge.target, item.stack});
    }
  }
  const ParseState* to = &dead_;
  if (!kernel.empty()) {
    const bool room = bytes_.load(std::memory_order_relaxed) < kLimitBytes;
    to = room ? close(kernel) : &over_limit_;
  }
  slot.store(to, std::memory_order_release);
  return to;
}

const ParseState* ParseStates::close(const std::vector<Item>& kernel) {
  Closure closure;
  for (const auto& item : kernel) closure.visit(item.state, item.stack);
  while (!closure.work.empty()) {
    const auto [state, stack] = closure.work.back();
    closure.work.pop_back();
    if (closure.seen.size() + closure.cost > stacks_max_) return &over_limit_;
    if (!automaton_.bytes(state).empty()) closure.items.push_back({state, stack});
    for (const auto target : automaton_.jumps(state)) closure.visit(target, stack);
    for (const auto& edge : automaton_.calls(state)) {
      closure.call(automaton_, edge, stack);
      if (automaton_.entry(edge.rule).nullable) closure.visit(edge.target, stack);
    }
    if (!automaton_.state(state).accepts) continue;
    for (const auto& frame : stack->frames) {
      if (frame.state == kTextEnd) {
        closure.can_end = true;
      } else {
        closure.visit(frame.state, frame.below);
      }
    }
  }
  enter_called(closure);
  if (std::max(closure.cost + closure.items.size(), closure.depth) > stacks_max_)
    return &over_limit_;
  merge_items(closure);
  return intern(std::move(closure.items), closure.can_end);
}

/// In the rules' order, so that all callers of a rule are known when it is entered, once.
void ParseStates::enter_called(Closure& closure) {
  while (!closure.called.empty()) {
    const auto first = closure.called.begin();
    const auto rule = automaton_.rule_at(first->first);
    const auto* stack = intern(std::move(first->second));
    closure.called.erase(first);
    closure.depth = std::max<std::size_t>(closure.depth, stack->depth);
    const auto& entry = automaton_.entry(rule);
    for (const auto state : entry.states) closure.items.push_back({state, stack});
    for (const auto& edge : entry.calls) closure.call(automaton_, edge, stack);
    if (closure.cost + closure.items.size() > stacks_max_) return;
  }
}

void ParseStates::merge_items(Closure& closure) {
  auto& items = closure.items;
  std::ranges::sort(items, [](const Item& left, const Item& right) {
    return std::tuple(left.state, left.stack->id) < std::tuple(right.state, right.stack->id);
  });
  std::vector<Item> merged;
  for (std::size_t i = 0; i < items.size();) {
    auto end = i + 1;
    while (end < items.size() && items[end].state == items[i].state) ++end;
    if (end == i + 1) {
      merged.push_back(items[i]);
    } else {
      std::vector<Frame> frames;
      for (; i < end; ++i) {
        frames.insert(frames.end(), items[i].stack->frames.begin(), items[i].stack->frames.end());
      }
      merged.push_back({items[end - 1].state, intern(std::move(frames))});
    }
    i = end;
  }
  items = std::move(merged);
}

const ParseState* ParseStates::adopt(const ParseState* foreign) {
  const Lock lock(mutex_);
  std::unordered_map<const Stack*, const Stack*> ours;
  std::vector<const Stack*> work;
  for (const auto& item : foreign->items) work.push_back(item.stack);
  while (!work.empty()) {
    const auto* stack = work.back();
    bool ready = true;
    for (const auto& frame : stack->frames) {
      if (frame.below == nullptr || ours.contains(frame.below)) continue;
      ready = false;
      work.push_back(frame.below);
    }
    if (!ready) continue;
    work.pop_back();
    if (ours.contains(stack)) continue;
    auto frames = stack->frames;
    for (auto& frame : frames) {
      if (frame.below != nullptr) frame.below = ours.at(frame.below);
    }
    ours.emplace(stack, intern(std::move(frames)));
  }
  auto items = foreign->items;
  for (auto& item : items) item.stack = ours.at(item.stack);
  return intern(std::move(items), foreign->can_end);
}

}  // namespace hf::grammar
