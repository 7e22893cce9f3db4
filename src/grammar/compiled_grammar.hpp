#pragma once
// What compile() makes and matchers share: the automaton, its parse states and cached masks.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.hpp"
#include "grammar/automaton.hpp"
#include "grammar/grammar.hpp"
#include "grammar/parse_states.hpp"

namespace hf::grammar {

using Mask = std::vector<std::uint64_t>;

/// Masks by parse state and token table, least recently used out first. Threads: any.
class MaskCache {
 public:
  /// Null: not known.
  std::shared_ptr<const Mask> find(const ParseState* state, std::uint64_t trie_id);
  void insert(const ParseState* state, std::uint64_t trie_id, std::shared_ptr<const Mask> mask);

 private:
  static constexpr std::size_t kBytesMax = std::size_t{32} << 20U;
  using Key = std::pair<const ParseState*, std::uint64_t>;
  struct Entry {
    Key key;
    std::shared_ptr<const Mask> mask;
  };

  Mutex mutex_;
  std::list<Entry> recent_ HF_GUARDED_BY(mutex_);  ///< Newest first.
  std::map<Key, std::list<Entry>::iterator> index_ HF_GUARDED_BY(mutex_);
  std::size_t bytes_ HF_GUARDED_BY(mutex_) = 0;
};

/// One generation of what was learnt about a grammar; dropped as a whole once it is full.
struct Knowledge {
  Knowledge(const Automaton& automaton, std::size_t stacks_max) : states(automaton, stacks_max) {}
  ParseStates states;
  MaskCache masks;
};

/// Threads: any.
class CompiledGrammar final : public Grammar {
 public:
  CompiledGrammar(std::string gbnf, Automaton automaton, std::size_t stacks_max);
  [[nodiscard]] std::string to_gbnf() const override { return gbnf_; }
  [[nodiscard]] std::shared_ptr<Knowledge> knowledge(std::size_t stacks_max) const;
  /// Another generation than `old`, which is full.
  [[nodiscard]] std::shared_ptr<Knowledge> knowledge_after(const std::shared_ptr<Knowledge>& old,
                                                           std::size_t stacks_max) const;

 private:
  const std::string gbnf_;
  const Automaton automaton_;
  const std::size_t stacks_max_;
  mutable Mutex mutex_;
  mutable std::shared_ptr<Knowledge> current_ HF_GUARDED_BY(mutex_);
};

}  // namespace hf::grammar
