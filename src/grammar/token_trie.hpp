#pragma once
// The token trie behind TokenTable, laid out for one forward walk. Immutable, any thread.

#include <cstdint>
#include <string>
#include <vector>

#include "grammar/grammar.hpp"

namespace hf::grammar {

struct TokenTable::Trie {
  /// In depth-first order: a node's subtree lies right behind it.
  struct Node {
    std::uint8_t byte = 0;
    std::uint32_t depth = 0;   ///< 0 for the first byte of a piece.
    std::uint32_t behind = 0;  ///< The first node behind the subtree.
    std::uint32_t tokens_begin = 0, tokens_end = 0;  ///< In `tokens`: pieces that end here.
  };
  std::uint64_t id = 0;  ///< Unique in this process; keys cached masks.
  std::vector<std::string> pieces;  ///< Empty for end tokens and tokens never allowed.
  std::vector<Token> end_tokens;    ///< Valid and unique.
  std::vector<bool> ends;           ///< Per token.
  std::vector<Node> nodes;
  std::vector<Token> tokens;
  std::size_t depth_max = 0;  ///< Bytes of the longest piece.
};

}  // namespace hf::grammar
