#include <utility>

#include "grammar/compiled_grammar.hpp"
#include "grammar/token_trie.hpp"

namespace hf::grammar {
namespace {

class StateMatcher final : public Matcher {
 public:
  StateMatcher(std::shared_ptr<const CompiledGrammar> grammar, const TokenTable::Trie& trie,
               std::size_t stacks_max)
      : grammar_(std::move(grammar)),
        trie_(&trie),
        stacks_max_(stacks_max),
        knowledge_(grammar_->knowledge(stacks_max)),
        place_(knowledge_->states.start()) {}

  bool allows(Token token) override {
    if (!known(token)) return false;
    const auto index = static_cast<std::size_t>(token);
    if (trie_->ends[index]) return ended_ || place_->can_end;
    if (ended_ || trie_->pieces[index].empty()) return false;
    make_room();
    auto& states = knowledge_->states;
    const auto* place = place_;
    for (const char byte : trie_->pieces[index]) {
      place = states.next(place, static_cast<std::uint8_t>(byte));
      if (place == states.dead() || place == states.over_limit()) return false;
    }
    return true;
  }

  Result<void> accept(Token token) override {
    if (!known(token)) return refused("The token is not in the vocabulary.");
    const auto index = static_cast<std::size_t>(token);
    if (trie_->ends[index]) {
      if (!ended_ && !place_->can_end) return refused("The grammar may not end here.");
      ended_ = true;
      return {};
    }
    if (trie_->pieces[index].empty()) return refused("The token is not allowed in a grammar.");
    return accept_bytes(trie_->pieces[index]);
  }

  Result<void> accept_bytes(std::string_view bytes) override {
    if (bytes.empty()) return {};
    if (ended_) return refused("The grammar has ended; no text may follow.");
    const auto knowledge_before = knowledge_;
    const auto* place_before = place_;
    for (const char byte : bytes) {
      make_room();
      auto& states = knowledge_->states;
      const auto* next = states.next(place_, static_cast<std::uint8_t>(byte));
      const bool over = next == states.over_limit();
      if (!over && next != states.dead() && !too_deep_) {
        place_ = next;
        continue;
      }
      const bool limit = over || too_deep_;
      knowledge_ = knowledge_before;
      place_ = place_before;
      too_deep_ = false;
      if (!limit) return refused("The text does not fit the grammar.");
      return fail(
          Errc::resource_exhausted,
          "The grammar needs too many parse states here; make it less ambiguous or the text "
          "less deeply nested.");
    }
    return {};
  }

  std::span<const std::uint64_t> mask() override {
    if (ended_) {
      mask_ = end_mask();
      return *mask_;
    }
    make_room();
    auto mask = knowledge_->masks.find(place_, trie_->id);
    if (mask == nullptr) {
      mask = walk();
      knowledge_->masks.insert(place_, trie_->id, mask);
    }
    mask_ = std::move(mask);
    return *mask_;
  }

  [[nodiscard]] bool can_end() const override { return ended_ || place_->can_end; }
  [[nodiscard]] bool must_end() const override { return ended_ || place_->items.empty(); }
  [[nodiscard]] std::unique_ptr<Matcher> clone() const override {
    return std::make_unique<StateMatcher>(*this);
  }

 private:
  static std::unexpected<Error> refused(std::string why) {
    return fail(Errc::invalid_argument, std::move(why));
  }
  [[nodiscard]] bool known(Token token) const {
    return token >= 0 && static_cast<std::size_t>(token) < trie_->pieces.size();
  }

  /// Moves to fresh tables when the shared ones are full. Stacks so deep that they fill a table
  /// alone would move at every byte: those are given up.
  void make_room() {
    if (!knowledge_->states.full()) return;
    auto fresh = grammar_->knowledge_after(knowledge_, stacks_max_);
    const auto* place = fresh->states.adopt(place_);
    too_deep_ = fresh->states.full();
    knowledge_ = std::move(fresh);
    place_ = place;
  }

  [[nodiscard]] Mask empty_mask() const { return Mask((trie_->pieces.size() + 63) / 64); }
  static void set(Mask& mask, Token token) {
    const auto index = static_cast<std::size_t>(token);
    mask[index / 64] |= std::uint64_t{1} << (index % 64);
  }
  [[nodiscard]] std::shared_ptr<const Mask> end_mask() const {
    auto mask = empty_mask();
    for (const auto token : trie_->end_tokens) set(mask, token);
    return std::make_shared<const Mask>(std::move(mask));
  }

  std::shared_ptr<const Mask> walk() {
    auto mask = empty_mask();
    if (place_->can_end) {
      for (const auto token : trie_->end_tokens) set(mask, token);
    }
    auto& states = knowledge_->states;
    const auto* const dead = states.dead();
    const auto* const over = states.over_limit();
    std::vector<const ParseState*> along(trie_->depth_max + 1);
    along[0] = place_;
    const auto& nodes = trie_->nodes;
    for (std::size_t i = 0; i < nodes.size();) {
      const auto& node = nodes[i];
      const auto* place = states.next(along[node.depth], node.byte);
      if (place == dead || place == over) {
        i = node.behind;
        continue;
      }
      along[node.depth + 1] = place;
      for (auto t = node.tokens_begin; t < node.tokens_end; ++t) set(mask, trie_->tokens[t]);
      ++i;
    }
    return std::make_shared<const Mask>(std::move(mask));
  }

  std::shared_ptr<const CompiledGrammar> grammar_;
  const TokenTable::Trie* trie_;
  std::size_t stacks_max_;
  std::shared_ptr<Knowledge> knowledge_;
  const ParseState* place_;                ///< In knowledge_; never dead.
  std::shared_ptr<const Mask> mask_ = {};  ///< Keeps the last returned span alive.
  bool ended_ = false;
  bool too_deep_ = false;
};

}  // namespace

std::unique_ptr<Matcher> make_matcher(std::shared_ptr<const Grammar> grammar,
                                      const TokenTable& tokens, const Limits& limits) {
  auto compiled = std::dynamic_pointer_cast<const CompiledGrammar>(std::move(grammar));
  HF_ASSERT(compiled != nullptr);
  return std::make_unique<StateMatcher>(std::move(compiled), tokens.trie(), limits.stacks_max);
}

}  // namespace hf::grammar
