#pragma once
// What the prep threads hand to the scheduler.

#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "grammar/grammar.hpp"
#include "runtime/runner.hpp"
#include "wire/messages.hpp"

namespace hf::runtime {

/// A request whose prompt is tokens and whose grammar is compiled.
struct PreparedRequest {
  wire::Generate request = {};  ///< `prompt` is not looked at.
  std::vector<Token> prompt = {};
  std::shared_ptr<const grammar::Grammar> grammar = {};  ///< Null: free text.
  AdapterId adapter = 0;
  TimePoint arrived{};
  bool reasoning_open = false;  ///< Told in Started.
};

}  // namespace hf::runtime
