#pragma once
// One choice of one request from logits to events: picks tokens, follows the grammar, assembles the
// text, knows when it ends. A pure function of the tokens taken, so a resumed request goes on
// exactly where it was. Used by the scheduler. Threads: engine thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grammar/grammar.hpp"
#include "runtime/grammar_gate.hpp"
#include "runtime/prepared_request.hpp"
#include "runtime/sampler.hpp"
#include "runtime/text_assembler.hpp"
#include "runtime/token_texts.hpp"

namespace hf::runtime {

struct ChoiceEnd {
  wire::FinishReason reason = wire::FinishReason::stop;
  std::string stop_string = {};
};

class ChoiceOutput {
 public:
  /// `tokens_max`: most tokens of this choice. `texts` and `table` must outlive it.
  ChoiceOutput(const PreparedRequest& prepared, std::uint32_t choice, std::uint32_t tokens_max,
               const TokenTexts& texts, const grammar::TokenTable& table);

  /// Takes tokens that were delivered before, `text_bytes` of their text too (nothing: all that
  /// they gave). Text beyond that waits in take_delta().
  void replay(std::span<const Token> tokens, std::optional<std::uint32_t> text_bytes);
  /// Picks and takes the next token. Overwrites `logits`. Nothing: it ended without one (an
  /// end token is no output).
  std::optional<Token> next(std::span<float> logits);
  /// Ends it from outside; held-back text comes out.
  void end(wire::FinishReason reason);

  [[nodiscard]] bool ended() const { return end_.has_value(); }
  [[nodiscard]] const ChoiceEnd& ending() const { return *end_; }
  [[nodiscard]] std::uint32_t tokens() const { return tokens_; }
  /// Tokens it may still have.
  [[nodiscard]] std::uint32_t tokens_left() const { return tokens_max_ - tokens_; }
  [[nodiscard]] std::uint32_t choice() const { return delta_.choice; }
  [[nodiscard]] bool has_delta() const { return !delta_.tokens.empty() || !delta_.text.empty(); }
  wire::Delta take_delta();

 private:
  [[nodiscard]] Picked pick(std::span<float> logits) const;
  [[nodiscard]] Picked pick_behind_triggers(std::span<float> logits) const;
  bool take(Token token);  // False: it does not fit the grammar; the choice has ended.
  void add_text(std::string_view text);
  void add_logprob(wire::TokenLogprob logprob);

  const TokenTexts& texts_;
  Sampler sampler_;
  GrammarGate gate_;
  TextAssembler assembler_;
  bool ignore_end_tokens_;
  std::uint32_t tokens_max_;
  std::uint32_t tokens_ = 0;
  std::size_t text_skip_ = 0;  // Bytes of text that come again and were delivered already.
  std::optional<ChoiceEnd> end_ = {};
  wire::Delta delta_ = {};
};

}  // namespace hf::runtime
