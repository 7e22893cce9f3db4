#include "grammar/compiled_grammar.hpp"

namespace hf::grammar {

std::shared_ptr<const Mask> MaskCache::find(const ParseState* state, std::uint64_t trie_id) {
  const Lock lock(mutex_);
  const auto known = index_.find({state, trie_id});
  if (known == index_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, known->second);
  return known->second->mask;
}

void MaskCache::insert(const ParseState* state, std::uint64_t trie_id,
                       std::shared_ptr<const Mask> mask) {
  const Lock lock(mutex_);
  const Key key{state, trie_id};
  if (index_.contains(key)) return;
  bytes_ += mask->size() * sizeof(std::uint64_t);
  recent_.push_front({key, std::move(mask)});
  index_.emplace(key, recent_.begin());
  while (bytes_ > kBytesMax && recent_.size() > 1) {
    bytes_ -= recent_.back().mask->size() * sizeof(std::uint64_t);
    index_.erase(recent_.back().key);
    recent_.pop_back();
  }
}

CompiledGrammar::CompiledGrammar(std::string gbnf, Automaton automaton, std::size_t stacks_max)
    : gbnf_(std::move(gbnf)),
      automaton_(std::move(automaton)),
      stacks_max_(stacks_max),
      current_(std::make_shared<Knowledge>(automaton_, stacks_max)) {}

std::shared_ptr<Knowledge> CompiledGrammar::knowledge(std::size_t stacks_max) const {
  if (stacks_max != stacks_max_) return std::make_shared<Knowledge>(automaton_, stacks_max);
  const Lock lock(mutex_);
  if (current_->states.full()) current_ = std::make_shared<Knowledge>(automaton_, stacks_max_);
  return current_;
}

std::shared_ptr<Knowledge> CompiledGrammar::knowledge_after(const std::shared_ptr<Knowledge>& old,
                                                            std::size_t stacks_max) const {
  if (stacks_max != stacks_max_) return std::make_shared<Knowledge>(automaton_, stacks_max);
  const Lock lock(mutex_);
  if (current_ == old || current_->states.full()) {
    current_ = std::make_shared<Knowledge>(automaton_, stacks_max_);
  }
  return current_;
}

}  // namespace hf::grammar
