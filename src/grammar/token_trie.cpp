#include "grammar/token_trie.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace hf::grammar {
namespace {

std::size_t shared_prefix(std::string_view left, std::string_view right) {
  return static_cast<std::size_t>(std::ranges::mismatch(left, right).in1 - left.begin());
}

std::uint64_t new_trie_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// Sorted pieces give the nodes in depth-first order.
void lay_out(TokenTable::Trie& trie) {
  std::vector<Token> sorted;
  for (std::size_t i = 0; i < trie.pieces.size(); ++i) {
    if (!trie.pieces[i].empty()) sorted.push_back(static_cast<Token>(i));
  }
  const auto piece = [&trie](Token token) -> std::string_view {
    return trie.pieces[static_cast<std::size_t>(token)];
  };
  std::ranges::stable_sort(sorted, {}, piece);
  std::vector<std::uint32_t> open;  // The nodes along the last piece.
  std::string_view last;
  const auto close_to = [&](std::size_t depth) {
    for (; open.size() > depth; open.pop_back()) {
      trie.nodes[open.back()].behind = static_cast<std::uint32_t>(trie.nodes.size());
    }
  };
  for (const auto token : sorted) {
    const auto text = piece(token);
    close_to(shared_prefix(last, text));
    while (open.size() < text.size()) {
      const auto at = static_cast<std::uint32_t>(trie.tokens.size());
      const auto depth = static_cast<std::uint32_t>(open.size());
      open.push_back(static_cast<std::uint32_t>(trie.nodes.size()));
      trie.nodes.push_back({static_cast<std::uint8_t>(text[depth]), depth, 0, at, at});
    }
    trie.tokens.push_back(token);
    trie.nodes[open.back()].tokens_end = static_cast<std::uint32_t>(trie.tokens.size());
    trie.depth_max = std::max(trie.depth_max, text.size());
    last = text;
  }
  close_to(0);
}

}  // namespace

TokenTable::TokenTable(std::vector<std::string> pieces, std::vector<Token> end_tokens)
    : trie_(std::make_unique<Trie>()) {
  trie_->id = new_trie_id();
  trie_->pieces = std::move(pieces);
  trie_->ends.resize(trie_->pieces.size());
  for (const auto token : end_tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= trie_->pieces.size()) continue;
    const auto index = static_cast<std::size_t>(token);
    if (trie_->ends[index]) continue;
    trie_->ends[index] = true;
    trie_->pieces[index].clear();
    trie_->end_tokens.push_back(token);
  }
  lay_out(*trie_);
}

TokenTable::~TokenTable() = default;
TokenTable::TokenTable(TokenTable&&) noexcept = default;

std::size_t TokenTable::vocabulary() const {
  return trie_->pieces.size();
}

}  // namespace hf::grammar
