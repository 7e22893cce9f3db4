#include "grammar/automaton.hpp"

#include <algorithm>
#include <format>
#include <map>
#include <tuple>
#include <utility>

namespace hf::grammar {
namespace {

/// Repeated parts above this weight become a rule of their own, so that a{1000}{1000} costs 2,000
/// states and not a million.
constexpr std::uint64_t kInlineWeight = 12;
constexpr std::uint64_t kWeightMax = std::uint64_t{1} << 40U;
constexpr std::size_t kEdgesPerElement = 4;
constexpr std::size_t kDepthMax = 1024;  // Bounds the recursion of connect().
constexpr std::uint32_t kNone = UINT32_MAX;

template <class Edge>
struct From {
  std::uint32_t from = 0;
  Edge edge{};
};

}  // namespace

class AutomatonBuilder {
 public:
  AutomatonBuilder(const Syntax& syntax, const Limits& limits) : syntax_(syntax), limits_(limits) {}

  Result<Automaton> run() {
    if (weigh() > kDepthMax) {
      return fail(Errc::invalid_argument,
                  "The grammar's groups and repetitions are nested too deeply.");
    }
    for (const auto& rule : syntax_.rules) bodies_.push_back(rule.body);
    // Repeated parts append to bodies_ while it is walked.
    for (std::size_t i = 0; i < bodies_.size(); ++i) {
      const auto start = new_state();
      const auto end = new_state();
      accepts_.push_back(end);
      starts_.push_back(start);
      connect(bodies_[i], start, end);
      if (too_large_) return too_large();
    }
    live_ = reaching_end(true);
    if (!live_[starts_[syntax_.root]]) {
      return fail(Errc::invalid_argument,
                  "The grammar matches no finite text: every way through 'root' goes on for ever.");
    }
    drop_dead();
    nullable_ = reaching_end(false);
    lay_out();
    enter_rules();
    HF_TRY_VOID(order_rules());
    classify_bytes();
    out_.root_ = syntax_.root;
    return std::move(out_);
  }

 private:
  std::unexpected<Error> too_large() const {
    return fail(
        Errc::invalid_argument,
        std::format("The grammar needs more than {} parser states; use smaller repetitions.",
                    limits_.elements_max));
  }

  std::uint32_t new_state() {
    if (states_ >= limits_.elements_max) too_large_ = true;
    return states_++;
  }

  /// Children come before parents in the node list, so one pass is enough.
  /// Returns the greatest depth of nodes.
  std::size_t weigh() {
    weights_.resize(syntax_.nodes.size());
    std::vector<std::size_t> depths(syntax_.nodes.size());
    std::size_t deepest = 0;
    for (std::size_t i = 0; i < syntax_.nodes.size(); ++i) {
      const auto& node = syntax_.nodes[i];
      std::uint64_t weight = 0;
      for (const auto child : node.children) {
        weight += weights_[child];
        depths[i] = std::max(depths[i], depths[child] + 1);
      }
      deepest = std::max(deepest, depths[i]);
      if (node.kind == NodeKind::literal) weight = node.text.size();
      if (node.kind == NodeKind::char_class) weight = 4;
      if (node.kind == NodeKind::reference) weight = 1;
      if (node.kind == NodeKind::repeat) {
        weight = (weight + 1) * (node.max == kUnbounded ? node.min + 1U : node.max);
      }
      weights_[i] = std::min(weight, kWeightMax);
    }
    return deepest;
  }

  void add_byte(std::uint32_t from, ByteRange range, std::uint32_t to) {
    bytes_.push_back({from, {range.first, range.last, to}});
    if (bytes_.size() > kEdgesPerElement * limits_.elements_max) too_large_ = true;
  }
  void add_jump(std::uint32_t from, std::uint32_t to) {
    jumps_.push_back({from, to});
    if (jumps_.size() > kEdgesPerElement * limits_.elements_max) too_large_ = true;
  }

  /// Adds the node's paths; only leaves `from` and only arrives at `to`.
  void connect(std::uint32_t index, std::uint32_t from, std::uint32_t to) {
    const auto& node = syntax_.nodes[index];
    if (too_large_) return;
    switch (node.kind) {
      case NodeKind::literal:
        return connect_literal(node.text, from, to);
      case NodeKind::char_class:
        return connect_class(node.index, from, to);
      case NodeKind::reference:
        calls_.push_back({from, {node.index, to}});
        return;
      case NodeKind::alternation:
        return connect_alternatives(node, from, to);
      case NodeKind::sequence:
        return connect_sequence(node, from, to);
      case NodeKind::repeat:
        return connect_repeat(index, from, to);
    }
  }

  /// Literals share their beginnings, so that long lists of words stay deterministic.
  void connect_alternatives(const Node& node, std::uint32_t from, std::uint32_t to) {
    std::map<std::pair<std::uint32_t, char>, std::uint32_t> shared;
    for (const auto child : node.children) {
      const auto& part = syntax_.nodes[child];
      if (part.kind != NodeKind::literal || part.text.empty()) {
        connect(child, from, to);
        continue;
      }
      auto state = from;
      for (std::size_t i = 0; i + 1 < part.text.size() && !too_large_; ++i) {
        const auto [next, fresh] = shared.try_emplace({state, part.text[i]}, kNone);
        if (fresh) {
          next->second = new_state();
          const auto byte = static_cast<std::uint8_t>(part.text[i]);
          add_byte(state, {byte, byte}, next->second);
        }
        state = next->second;
      }
      const auto byte = static_cast<std::uint8_t>(part.text.back());
      add_byte(state, {byte, byte}, to);
    }
  }

  void connect_literal(std::string_view text, std::uint32_t from, std::uint32_t to) {
    if (text.empty()) return add_jump(from, to);
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto next = i + 1 == text.size() ? to : new_state();
      if (too_large_) return;
      const auto byte = static_cast<std::uint8_t>(text[i]);
      add_byte(from, {byte, byte}, next);
      from = next;
    }
  }

  void connect_class(std::uint32_t index, std::uint32_t from, std::uint32_t to) {
    auto& sequences = sequences_[index];
    if (sequences.empty()) sequences = utf8_sequences(syntax_.classes[index]);
    std::map<ByteSequence, std::uint32_t> tails;  // Same rest, same state.
    for (const auto& sequence : sequences) {
      auto state = from;
      for (std::size_t i = 0; i < sequence.size() && !too_large_; ++i) {
        if (i + 1 == sequence.size()) {
          add_byte(state, sequence[i], to);
          break;
        }
        const ByteSequence rest(sequence.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                sequence.end());
        const auto [tail, fresh] = tails.try_emplace(rest, kNone);
        if (fresh) tail->second = new_state();
        add_byte(state, sequence[i], tail->second);
        if (!fresh) break;
        state = tail->second;
      }
    }
  }

  void connect_sequence(const Node& node, std::uint32_t from, std::uint32_t to) {
    if (node.children.empty()) return add_jump(from, to);
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const auto next = i + 1 == node.children.size() ? to : new_state();
      connect(node.children[i], from, next);
      from = next;
    }
  }

  void connect_repeat(std::uint32_t index, std::uint32_t from, std::uint32_t to) {
    const auto& node = syntax_.nodes[index];
    const auto child = node.children.front();
    auto own_rule = kNone;
    if (weights_[child] > kInlineWeight && (node.max == kUnbounded ? node.min : node.max) > 2) {
      own_rule = static_cast<std::uint32_t>(bodies_.size());
      bodies_.push_back(child);
    }
    const auto once = [&](std::uint32_t begin, std::uint32_t end) {
      if (own_rule == kNone) return connect(child, begin, end);
      calls_.push_back({begin, {own_rule, end}});
    };
    for (std::uint32_t i = 0; i < node.min && !too_large_; ++i) {
      const auto next = new_state();
      once(from, next);
      from = next;
    }
    if (node.max == kUnbounded) {
      const auto loop = new_state();
      add_jump(from, loop);
      once(loop, loop);
      return add_jump(loop, to);
    }
    for (std::uint32_t i = node.min; i < node.max && !too_large_; ++i) {
      const auto next = new_state();
      add_jump(from, to);
      once(from, next);
      from = next;
    }
    add_jump(from, to);
  }

  /// Per state: the end of its rule can be reached, over any input or (`over_bytes` false) none.
  std::vector<bool> reaching_end(bool over_bytes) const {
    std::vector<std::vector<std::uint32_t>> sources(states_);
    std::vector<std::vector<std::uint32_t>> callers(starts_.size());
    std::vector<std::vector<std::uint32_t>> returns(states_);
    if (over_bytes) {
      for (const auto& edge : bytes_) sources[edge.edge.target].push_back(edge.from);
    }
    for (const auto& jump : jumps_) sources[jump.edge].push_back(jump.from);
    for (std::uint32_t i = 0; i < calls_.size(); ++i) {
      callers[calls_[i].edge.rule].push_back(i);
      returns[calls_[i].edge.target].push_back(i);
    }
    std::vector<std::uint32_t> rule_of(states_, kNone);
    for (std::uint32_t rule = 0; rule < starts_.size(); ++rule) rule_of[starts_[rule]] = rule;
    std::vector<bool> reached(states_);
    std::vector<std::uint32_t> work;
    const auto mark = [&](std::uint32_t state) {
      if (reached[state]) return;
      reached[state] = true;
      work.push_back(state);
    };
    for (const auto end : accepts_) mark(end);
    while (!work.empty()) {
      const auto state = work.back();
      work.pop_back();
      for (const auto source : sources[state]) mark(source);
      for (const auto call : returns[state]) {
        if (reached[starts_[calls_[call].edge.rule]]) mark(calls_[call].from);
      }
      if (rule_of[state] == kNone) continue;
      for (const auto call : callers[rule_of[state]]) {
        if (reached[calls_[call].edge.target]) mark(calls_[call].from);
      }
    }
    return reached;
  }

  void drop_dead() {
    std::erase_if(bytes_, [this](const auto& edge) { return !live_[edge.edge.target]; });
    std::erase_if(jumps_, [this](const auto& jump) { return !live_[jump.edge]; });
    std::erase_if(calls_, [this](const auto& call) {
      return !live_[call.edge.target] || !live_[starts_[call.edge.rule]];
    });
  }

  void lay_out() {
    out_.states_.resize(states_);
    const auto by_source = [](const auto& left, const auto& right) {
      return left.from < right.from;
    };
    std::ranges::stable_sort(bytes_, by_source);
    std::ranges::stable_sort(jumps_, by_source);
    std::ranges::stable_sort(calls_, by_source);
    std::size_t byte = 0;
    std::size_t jump = 0;
    std::size_t call = 0;
    const auto take = [](auto& edges, std::size_t& at, std::uint32_t from, auto& out) {
      const auto begin = static_cast<std::uint32_t>(out.size());
      for (; at < edges.size() && edges[at].from == from; ++at) out.push_back(edges[at].edge);
      return std::pair(begin, static_cast<std::uint32_t>(out.size()));
    };
    for (std::uint32_t i = 0; i < states_; ++i) {
      auto& state = out_.states_[i];
      std::tie(state.bytes_begin, state.bytes_end) = take(bytes_, byte, i, out_.bytes_);
      std::tie(state.jumps_begin, state.jumps_end) = take(jumps_, jump, i, out_.jumps_);
      std::tie(state.calls_begin, state.calls_end) = take(calls_, call, i, out_.calls_);
    }
    for (const auto end : accepts_) out_.states_[end].accepts = true;
    mark_tails();
  }

  void mark_tails() {
    std::vector<std::vector<std::uint32_t>> sources(states_);
    for (const auto& jump : jumps_) sources[jump.edge].push_back(jump.from);
    std::vector<bool> busy(states_);
    std::vector<std::uint32_t> work;
    for (std::uint32_t i = 0; i < states_; ++i) {
      if (out_.bytes(i).empty() && out_.calls(i).empty()) continue;
      busy[i] = true;
      work.push_back(i);
    }
    while (!work.empty()) {
      const auto state = work.back();
      work.pop_back();
      for (const auto source : sources[state]) {
        if (busy[source]) continue;
        busy[source] = true;
        work.push_back(source);
      }
    }
    for (std::uint32_t i = 0; i < states_; ++i) out_.states_[i].tail = !busy[i] && nullable_[i];
  }

  void enter_rules() {
    std::vector<std::uint32_t> seen(states_, kNone);
    std::vector<std::uint32_t> work;
    out_.entries_.resize(starts_.size());
    for (std::uint32_t rule = 0; rule < starts_.size(); ++rule) {
      auto& entry = out_.entries_[rule];
      entry.start = starts_[rule];
      entry.nullable = nullable_[entry.start];
      const auto visit = [&](std::uint32_t state) {
        if (seen[state] == rule) return;
        seen[state] = rule;
        work.push_back(state);
      };
      visit(entry.start);
      while (!work.empty()) {
        const auto state = work.back();
        work.pop_back();
        if (!out_.bytes(state).empty()) entry.states.push_back(state);
        for (const auto target : out_.jumps(state)) visit(target);
        for (const auto& call : out_.calls(state)) {
          entry.calls.push_back(call);
          if (nullable_[starts_[call.rule]]) visit(call.target);
        }
      }
    }
  }

  std::string rule_name(std::uint32_t rule) const {
    return rule < syntax_.rules.size() ? syntax_.rules[rule].name
                                       : std::string("(a repeated part)");
  }

  /// Topological order over "may begin with"; a cycle there is left recursion.
  Result<void> order_rules() {
    enum class Mark : std::uint8_t { fresh, open, done };
    struct Visit {
      std::uint32_t rule;
      std::size_t next;
    };
    std::vector<Mark> marks(starts_.size(), Mark::fresh);
    std::vector<std::uint32_t> finished;
    std::vector<Visit> path;
    for (std::uint32_t first = 0; first < starts_.size(); ++first) {
      if (marks[first] != Mark::fresh) continue;
      path.push_back({first, 0});
      marks[first] = Mark::open;
      while (!path.empty()) {
        auto& [rule, next] = path.back();
        const auto& calls = out_.entries_[rule].calls;
        if (next == calls.size()) {
          marks[rule] = Mark::done;
          finished.push_back(rule);
          path.pop_back();
          continue;
        }
        const auto callee = calls[next++].rule;
        if (marks[callee] == Mark::done) continue;
        if (marks[callee] == Mark::open) {
          std::vector<std::uint32_t> cycle;
          for (const auto& visit : path) cycle.push_back(visit.rule);
          return left_recursion(cycle, callee);
        }
        marks[callee] = Mark::open;
        path.push_back({callee, 0});
      }
    }
    out_.by_order_.assign(finished.rbegin(), finished.rend());
    for (std::uint32_t i = 0; i < out_.by_order_.size(); ++i)
      out_.entries_[out_.by_order_[i]].order = i;
    return {};
  }

  std::unexpected<Error> left_recursion(const std::vector<std::uint32_t>& path,
                                        std::uint32_t back_to) const {
    constexpr std::size_t kNamesShown = 6;
    std::string names;
    const auto from = std::ranges::find(path, back_to);
    std::size_t shown = 0;
    for (auto rule = from; rule != path.end() && shown < kNamesShown; ++rule, ++shown) {
      names += rule_name(*rule) + " -> ";
    }
    if (static_cast<std::size_t>(path.end() - from) > kNamesShown) names += "... -> ";
    return fail(
        Errc::invalid_argument,
        std::format("The grammar is left-recursive ({}{}): a rule may not begin with itself, nor "
                    "follow only parts that can be empty; put the repeated part behind it.",
                    names, rule_name(back_to)));
  }

  void classify_bytes() {
    std::array<bool, 257> cut{};
    for (const auto& edge : out_.bytes_) {
      cut[edge.first] = true;
      cut[edge.last + 1U] = true;
    }
    std::uint8_t current = 0;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      if (cut[byte] && byte > 0) ++current;
      out_.class_of_[byte] = current;
    }
    out_.classes_ = std::size_t{current} + 1;
  }

  const Syntax& syntax_;
  const Limits& limits_;
  Automaton out_;
  bool too_large_ = false;
  std::uint32_t states_ = 0;
  std::vector<std::uint32_t>
      bodies_;  ///< Per rule: its node; repeated parts behind the named ones.
  std::vector<std::uint32_t> starts_;
  std::vector<std::uint32_t> accepts_;
  std::vector<std::uint64_t> weights_;
  std::map<std::uint32_t, std::vector<ByteSequence>> sequences_;
  std::vector<From<ByteEdge>> bytes_;
  std::vector<From<std::uint32_t>> jumps_;
  std::vector<From<CallEdge>> calls_;
  std::vector<bool> live_;
  std::vector<bool> nullable_;
};

Result<Automaton> Automaton::build(const Syntax& syntax, const Limits& limits) {
  return AutomatonBuilder(syntax, limits).run();
}

}  // namespace hf::grammar
