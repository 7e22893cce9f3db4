#pragma once
// GBNF text to a syntax tree. Every other notation is translated to GBNF text first, so this is the
// only way into the automaton. Pure, any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "grammar/code_points.hpp"
#include "grammar/grammar.hpp"

namespace hf::grammar {

enum class NodeKind : std::uint8_t { literal, char_class, reference, sequence, alternation, repeat };

inline constexpr std::uint32_t kUnbounded = UINT32_MAX;

struct Node {
  NodeKind kind = NodeKind::sequence;
  std::string text = {};                     ///< literal: its bytes.
  std::uint32_t index = 0;                   ///< char_class: in classes; reference: in rules.
  std::vector<std::uint32_t> children = {};  ///< Always lower than the node's own index.
  std::uint32_t min = 0;                     ///< repeat.
  std::uint32_t max = 0;                     ///< repeat; kUnbounded: no end.
};

struct Rule {
  std::string name;
  std::uint32_t body = 0;
};

struct Syntax {
  std::vector<Node> nodes;
  std::vector<CodePointSet> classes;
  std::vector<Rule> rules;
  std::uint32_t root = 0;  ///< The rule named "root".
};

/// Errors: invalid_argument with line and column; rules without definition are named.
Result<Syntax> parse_gbnf(std::string_view text, const Limits& limits);

}  // namespace hf::grammar
