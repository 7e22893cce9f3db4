#pragma once
// The parse states an automaton runs through, found as they are met and kept with their
// transitions, so that known text costs one table look-up a byte. A parse state is a set of
// (automaton state, stack) pairs; stacks are shared, ambiguity merges instead of multiplying.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/mutex.hpp"
#include "grammar/automaton.hpp"

namespace hf::grammar {

struct Stack;

/// On return: go on in `state` above `below`. `state` kTextEnd: the whole text may end.
struct Frame {
  std::uint32_t state = 0;
  const Stack* below = nullptr;
};
inline constexpr std::uint32_t kTextEnd = UINT32_MAX;

/// A set of frames, sorted and unique within its table; stands for all stacks through them.
struct Stack {
  std::uint32_t id = 0;
  std::uint32_t depth = 0;  ///< Frames on the longest way down.
  std::vector<Frame> frames = {};
};

struct Item {
  std::uint32_t state = 0;
  const Stack* stack = nullptr;
};

/// Immutable but for `next`.
struct ParseState {
  std::vector<Item> items;  ///< Sorted by state, one each; all have byte edges.
  bool can_end = false;
  std::unique_ptr<std::atomic<const ParseState*>[]> next;  ///< Per byte class; null: not known yet.
};

/// Append-only and bounded. Threads: any; known transitions take no lock.
class ParseStates {
 public:
  /// `automaton` must outlive this. `stacks_max`: items and frames in one parse state,
  /// and the depth of a stack.
  ParseStates(const Automaton& automaton, std::size_t stacks_max);
  ParseStates(const ParseStates&) = delete;
  ParseStates& operator=(const ParseStates&) = delete;

  [[nodiscard]] const ParseState* start() const { return start_; }
  /// Never null; `dead()` if the byte does not fit, `over_limit()` if it leads to too many stacks.
  const ParseState* next(const ParseState* from, std::uint8_t byte) {
    const auto known =
        from->next[automaton_.class_of(byte)].load(std::memory_order_acquire);
    return known != nullptr ? known : discover(from, byte);
  }
  [[nodiscard]] const ParseState* dead() const { return &dead_; }
  [[nodiscard]] const ParseState* over_limit() const { return &over_limit_; }
  /// Time to go on with a fresh table (see adopt).
  [[nodiscard]] bool full() const { return bytes_.load(std::memory_order_relaxed) > kFullBytes; }
  /// The same place as `foreign`, a state of another table over the same automaton.
  const ParseState* adopt(const ParseState* foreign);

 private:
  static constexpr std::size_t kFullBytes = std::size_t{16} << 20U;
  static constexpr std::size_t kLimitBytes = std::size_t{128} << 20U;
  struct Hash {
    std::size_t operator()(const Stack* stack) const;
    std::size_t operator()(const ParseState* state) const;
  };
  struct Equal {
    bool operator()(const Stack* left, const Stack* right) const;
    bool operator()(const ParseState* left, const ParseState* right) const;
  };
  struct Closure;

  const ParseState* discover(const ParseState* from, std::uint8_t byte);
  const Stack* intern(std::vector<Frame> frames) HF_REQUIRES(mutex_);
  const ParseState* intern(std::vector<Item> items, bool can_end) HF_REQUIRES(mutex_);
  const ParseState* close(const std::vector<Item>& kernel) HF_REQUIRES(mutex_);
  void enter_called(Closure& closure) HF_REQUIRES(mutex_);
  void merge_items(Closure& closure) HF_REQUIRES(mutex_);
  void prepare(ParseState& state) const;

  const Automaton& automaton_;
  const std::size_t stacks_max_;
  std::atomic<std::size_t> bytes_{0};
  ParseState dead_;
  ParseState over_limit_;
  Mutex mutex_;
  std::deque<Stack> stacks_ HF_GUARDED_BY(mutex_);
  std::deque<ParseState> states_ HF_GUARDED_BY(mutex_);
  std::unordered_set<const Stack*, Hash, Equal> stack_index_ HF_GUARDED_BY(mutex_);
  std::unordered_set<const ParseState*, Hash, Equal> state_index_ HF_GUARDED_BY(mutex_);
  const ParseState* start_ = nullptr;
};

}  // namespace hf::grammar
