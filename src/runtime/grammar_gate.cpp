#include "runtime/grammar_gate.hpp"

#include <algorithm>
#include <utility>

namespace hf::runtime {

GrammarGate::GrammarGate(std::shared_ptr<const grammar::Grammar> grammar,
                         std::vector<std::string> triggers, const TokenTexts& texts,
                         const grammar::TokenTable& table)
    : grammar_(std::move(grammar)), triggers_(std::move(triggers)), texts_(&texts), table_(&table) {
  std::erase_if(triggers_, [](const std::string& trigger) { return trigger.empty(); });
  for (const auto& trigger : triggers_)
    trigger_bytes_max_ = std::max(trigger_bytes_max_, trigger.size());
  if (grammar_ != nullptr && triggers_.empty())
    place_.matcher = grammar::make_matcher(grammar_, *table_);
}

// Behind a trigger a grammar that may end here no longer constrains: what does not fit it any more
// is free text again.
grammar::Matcher* GrammarGate::constraint() const {
  auto* matcher = place_.matcher.get();
  return matcher != nullptr && triggered() && matcher->can_end() ? nullptr : matcher;
}

bool GrammarGate::may_trigger(std::string_view bytes) const {
  const auto text = place_.tail + std::string(bytes);
  return std::ranges::any_of(triggers_,
                             [&](const std::string& trigger) { return text.contains(trigger); });
}

bool GrammarGate::advance(Place& place, std::string_view bytes) const {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (place.matcher != nullptr) {
      if (place.matcher->accept_bytes(bytes.substr(i, 1))) {
        if (place.matcher->must_end()) place.matcher = nullptr;
        continue;
      }
      if (!place.matcher->can_end()) return false;
      place.matcher = nullptr;
    }
    place.tail += bytes[i];
    if (std::ranges::any_of(triggers_,
                            [&](const auto& trigger) { return place.tail.ends_with(trigger); })) {
      place.matcher = grammar::make_matcher(grammar_, *table_);
      place.tail.clear();
    }
  }
  if (place.tail.size() > trigger_bytes_max_)
    place.tail.erase(0, place.tail.size() - trigger_bytes_max_);
  return true;
}

bool GrammarGate::admits(Token token) const {
  if (grammar_ == nullptr || !triggered() || texts_->ends(token)) return true;
  const auto bytes = texts_->text(token);
  if (place_.matcher == nullptr && !may_trigger(bytes)) return true;
  Place trial{.matcher = place_.matcher ? place_.matcher->clone() : nullptr, .tail = place_.tail};
  return advance(trial, bytes);
}

bool GrammarGate::accept(Token token) {
  if (grammar_ == nullptr || (!triggered() && place_.matcher == nullptr)) return true;
  const bool fits = triggered() ? advance(place_, texts_->text(token))
                                : place_.matcher->accept(token).has_value();
  if (!fits) place_ = {};
  return fits;
}

bool GrammarGate::must_end() const {
  return !triggered() && place_.matcher != nullptr && place_.matcher->must_end();
}

bool GrammarGate::can_end() const {
  return place_.matcher == nullptr || place_.matcher->can_end();
}

}  // namespace hf::runtime
