#pragma once
// Radix tree over the tokens of all sequences that hold KV cells (running ones and finished ones
// that are kept), so that a new prompt finds the longest beginning that is already computed.
// Used by the scheduler. Threads: engine thread.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/runner.hpp"

namespace hf::runtime {

class PrefixTree {
 public:
  /// Sequences of different namespaces never match: another scope's cache must not even be felt
  /// by its timing, and an adapter changes the cells' content.
  struct Namespace {
    std::string scope;
    AdapterId adapter = 0;
    auto operator<=>(const Namespace&) const = default;
  };
  struct Match {
    SequenceId sequence = 0;
    std::uint32_t tokens = 0;  ///< 0: nothing found.
  };
  /// How many of its tokens a sequence can give (computed so far, or once it is computed).
  using Usable = std::function<std::uint32_t(SequenceId)>;

  explicit PrefixTree(std::uint32_t sequences);
  ~PrefixTree();
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  /// Files a sequence under its tokens, instead of what it was filed under before.
  void insert(const Namespace& key, std::span<const Token> tokens, SequenceId sequence);
  void erase(SequenceId sequence);
  /// The sequence that shares the longest usable beginning with `tokens`.
  [[nodiscard]] Match find(const Namespace& key, std::span<const Token> tokens,
                           const Usable& usable) const;
  /// Other sequences whose tokens are a beginning of this one's (or the same).
  [[nodiscard]] std::vector<SequenceId> covered_by(SequenceId sequence) const;
  [[nodiscard]] std::size_t nodes() const { return nodes_; }

 private:
  struct Node;
  using Root = std::map<Namespace, std::unique_ptr<Node>>;
  void split(Node& node, std::size_t at);

  Root roots_;
  std::vector<Node*> ends_;  // By sequence: the node with its last token; null: not filed.
  std::size_t nodes_ = 0;    // Without roots.
};

}  // namespace hf::runtime
