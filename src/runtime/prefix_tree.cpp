#include "runtime/prefix_tree.hpp"

#include <algorithm>
#include <unordered_map>

namespace hf::runtime {

// A run of tokens. Every sequence that passes through or ends here is a holder; a sequence always
// ends at the end of a node's run.
struct PrefixTree::Node {
  Node* parent = nullptr;
  std::vector<Token> run = {};
  std::uint32_t depth = 0;  // Tokens from the root to the end of the run.
  std::vector<SequenceId> holders = {};
  std::unordered_map<Token, std::unique_ptr<Node>> children =
      {};                          // By the first token of their run.
  const Namespace* key = nullptr;  // Of roots only.
};

namespace {

std::size_t common_length(std::span<const Token> a, std::span<const Token> b) {
  const auto end = std::min(a.size(), b.size());
  return static_cast<std::size_t>(std::ranges::mismatch(a.first(end), b.first(end)).in1 -
                                  a.begin());
}

}  // namespace

PrefixTree::PrefixTree(std::uint32_t sequences) : ends_(sequences) {}
PrefixTree::~PrefixTree() = default;

// Makes the node's run end after `at` tokens; the rest becomes its only child.
void PrefixTree::split(Node& node, std::size_t at) {
  auto rest = std::make_unique<Node>();
  rest->parent = &node;
  rest->run.assign(node.run.begin() + static_cast<std::ptrdiff_t>(at), node.run.end());
  rest->depth = node.depth;
  rest->holders = node.holders;
  rest->children = std::move(node.children);
  for (auto& [token, child] : rest->children) child->parent = rest.get();
  for (const auto holder : rest->holders) {
    if (ends_[holder] == &node) ends_[holder] = rest.get();
  }
  node.depth -= static_cast<std::uint32_t>(node.run.size() - at);
  node.run.resize(at);
  node.children.clear();
  const auto first = rest->run.front();
  node.children[first] = std::move(rest);
  ++nodes_;
}

void PrefixTree::insert(const Namespace& key, std::span<const Token> tokens, SequenceId sequence) {
  erase(sequence);
  const auto found = roots_.try_emplace(key).first;
  if (found->second == nullptr) {
    found->second = std::make_unique<Node>();
    found->second->key = &found->first;
  }
  auto* node = found->second.get();
  node->holders.push_back(sequence);
  while (!tokens.empty()) {
    const auto child = node->children.find(tokens.front());
    if (child == node->children.end()) {
      auto leaf = std::make_unique<Node>();
      leaf->parent = node;
      leaf->run.assign(tokens.begin(), tokens.end());
      leaf->depth = node->depth + static_cast<std::uint32_t>(tokens.size());
      auto* made = leaf.get();
      node->children[tokens.front()] = std::move(leaf);
      ++nodes_;
      node = made;
      tokens = {};
    } else {
      node = child->second.get();
      const auto common = common_length(node->run, tokens);
      if (common < node->run.size()) split(*node, common);
      tokens = tokens.subspan(common);
    }
    node->holders.push_back(sequence);
  }
  ends_[sequence] = node;
}

void PrefixTree::erase(SequenceId sequence) {
  auto* node = std::exchange(ends_[sequence], nullptr);
  while (node != nullptr) {
    auto* parent = node->parent;
    std::erase(node->holders, sequence);
    if (node->holders.empty()) {
      if (parent == nullptr) {
        roots_.erase(Namespace(*node->key));
      } else {
        parent->children.erase(node->run.front());
        --nodes_;
      }
    }
    node = parent;
  }
}

PrefixTree::Match PrefixTree::find(const Namespace& key, std::span<const Token> tokens,
                                   const Usable& usable) const {
  Match best;
  const auto root = roots_.find(key);
  if (root == roots_.end()) return best;
  const auto* node = root->second.get();
  std::uint32_t matched = 0;
  for (;;) {
    const auto child =
        tokens.size() > matched ? node->children.find(tokens[matched]) : node->children.end();
    if (child == node->children.end()) break;
    node = child->second.get();
    const auto common = common_length(node->run, tokens.subspan(matched));
    matched += static_cast<std::uint32_t>(common);
    if (common < node->run.size()) break;
  }
  // From the deepest node up: holders of a node share `matched` tokens, at most its depth.
  for (; node != nullptr && node->parent != nullptr; node = node->parent) {
    const auto most = std::min(matched, node->depth);
    if (best.tokens >= most) break;
    for (const auto holder : node->holders) {
      const auto tokens_here = std::min(most, usable(holder));
      if (tokens_here > best.tokens) best = {holder, tokens_here};
    }
  }
  return best;
}

std::vector<SequenceId> PrefixTree::covered_by(SequenceId sequence) const {
  std::vector<SequenceId> covered;
  for (const auto* node = ends_[sequence]; node != nullptr; node = node->parent) {
    for (const auto holder : node->holders) {
      if (holder != sequence && ends_[holder] == node) covered.push_back(holder);
    }
  }
  return covered;
}

}  // namespace hf::runtime
