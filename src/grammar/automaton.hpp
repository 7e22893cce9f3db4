#pragma once
// A grammar as a recursive transition network over bytes: each rule a small automaton whose states
// have byte edges, jumps (no input) and calls of other rules. Immutable once built, any thread.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "grammar/gbnf.hpp"

namespace hf::grammar {

struct ByteEdge {
  std::uint8_t first = 0;
  std::uint8_t last = 0;  ///< Inclusive.
  std::uint32_t target = 0;
};
struct CallEdge {
  std::uint32_t rule = 0;
  std::uint32_t target = 0;  ///< Where the caller goes on.
};

/// Holds no left recursion, and every state can reach its rule's end: no parse is a dead end.
class Automaton {
 public:
  struct State {
    std::uint32_t bytes_begin = 0, bytes_end = 0;
    std::uint32_t jumps_begin = 0, jumps_end = 0;
    std::uint32_t calls_begin = 0, calls_end = 0;
    bool accepts = false;  ///< The rule's end.
    bool tail = false;     ///< Nothing but the rule's end can follow: a call to here leaves no trace.
  };
  /// What entering a rule means without consuming a byte.
  struct Entry {
    std::uint32_t start = 0;
    std::uint32_t order = 0;  ///< A rule called from an entry has a higher order than its caller.
    bool nullable = false;
    std::vector<std::uint32_t> states;  ///< Those with byte edges.
    std::vector<CallEdge> calls;
  };

  /// Errors: invalid_argument for left recursion (the rules are named), for a grammar without any
  /// text, for limits passed.
  static Result<Automaton> build(const Syntax& syntax, const Limits& limits);

  [[nodiscard]] std::span<const ByteEdge> bytes(std::uint32_t state) const {
    return {bytes_.data() + states_[state].bytes_begin, bytes_.data() + states_[state].bytes_end};
  }
  [[nodiscard]] std::span<const std::uint32_t> jumps(std::uint32_t state) const {
    return {jumps_.data() + states_[state].jumps_begin, jumps_.data() + states_[state].jumps_end};
  }
  [[nodiscard]] std::span<const CallEdge> calls(std::uint32_t state) const {
    return {calls_.data() + states_[state].calls_begin, calls_.data() + states_[state].calls_end};
  }
  [[nodiscard]] const State& state(std::uint32_t index) const { return states_[index]; }
  [[nodiscard]] const Entry& entry(std::uint32_t rule) const { return entries_[rule]; }
  [[nodiscard]] std::uint32_t rule_at(std::uint32_t order) const { return by_order_[order]; }
  [[nodiscard]] std::uint32_t root() const { return root_; }
  /// Bytes of one class are never told apart.
  [[nodiscard]] std::uint8_t class_of(std::uint8_t byte) const { return class_of_[byte]; }
  [[nodiscard]] std::size_t classes() const { return classes_; }

 private:
  friend class AutomatonBuilder;
  std::vector<State> states_;
  std::vector<ByteEdge> bytes_;
  std::vector<std::uint32_t> jumps_;
  std::vector<CallEdge> calls_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> by_order_;
  std::uint32_t root_ = 0;
  std::array<std::uint8_t, 256> class_of_{};
  std::size_t classes_ = 1;
};

}  // namespace hf::grammar
