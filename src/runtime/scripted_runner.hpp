#pragma once
// For the tests: a "model" whose logits are a function of the tokens before, so that the output can
// be checked against a naive loop. It checks that the scheduler keeps a runner's rules.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "runtime/runner.hpp"

namespace hf::runtime {

/// Tokens 0..255 are bytes, then the end token, a control token and a control token that is a
/// marker of the output.
inline constexpr Token kEnd = 256;
inline constexpr Token kControl = 257;
inline constexpr Token kMarker = 258;
inline constexpr std::uint32_t kVocabulary = 260;

class ByteTokenizer final : public Tokenizer {
 public:
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text, bool, bool) const override {
    std::vector<Token> tokens;
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
    return tokens;
  }
  [[nodiscard]] std::string piece(Token token, bool show_control) const override {
    if (token < 256) return std::string(1, static_cast<char>(token));
    if (!show_control) return {};
    return token == kMarker ? "<tool_call>" : "<|control|>";
  }
  [[nodiscard]] bool ends_generation(Token token) const override { return token == kEnd; }
  [[nodiscard]] bool is_control(Token token) const override { return token >= 256; }
  [[nodiscard]] std::uint32_t vocabulary() const override { return kVocabulary; }
};

/// Writes the logits of what follows `tokens`.
using LogitScript = std::function<void(std::span<const Token> tokens, AdapterId, std::span<float>)>;

/// Letters by a hash of all tokens before; ends after about `length` tokens.
inline LogitScript random_letters(std::uint64_t length) {
  return [length](std::span<const Token> tokens, AdapterId adapter, std::span<float> logits) {
    std::uint64_t hash = std::uint64_t{1469598103934665603} + adapter * std::uint64_t{977};
    for (const auto token : tokens)
      hash = (hash ^ static_cast<std::uint32_t>(token)) * std::uint64_t{1099511628211};
    hash ^= hash >> 31U;
    std::ranges::fill(logits, -20.0F);
    for (Token letter = 'a'; letter <= 'z'; ++letter) {
      hash = hash * std::uint64_t{6364136223846793005} + std::uint64_t{1442695040888963407};
      logits[static_cast<std::size_t>(letter)] = static_cast<float>(hash >> 40U) / 4e6F;
    }
    if ((hash >> 20U) % length == 0) logits[kEnd] = 30;
  };
}

class ScriptedRunner final : public Runner {
 public:
  ScriptedRunner(RunnerFacts facts, LogitScript script)
      : facts_(facts), script_(std::move(script)) {
    facts_.vocabulary = kVocabulary;
    for (std::uint32_t cell = 0; cell < facts_.cells_total; ++cell) free_.insert(cell);
  }
  [[nodiscard]] const RunnerFacts& facts() const override { return facts_; }

  Result<StepOutcome> step(std::span<const Row> rows) override;
  std::span<float> logits(std::size_t output) override { return outputs_.at(output); }
  void share(SequenceId from, SequenceId to, std::uint32_t tokens) override;
  void share_range(SequenceId from, SequenceId to, std::uint32_t begin, std::uint32_t end) override;
  void truncate(SequenceId sequence, std::uint32_t tokens) override;
  Result<std::vector<std::uint8_t>> save(SequenceId sequence) override;
  Result<void> restore(SequenceId sequence, std::span<const std::uint8_t> saved) override;
  Result<AdapterId> load_adapter(const std::string&, float) override { return 1; }
  void unload_adapter(AdapterId) override {}

  /// What happened, for the tests to look at.
  struct Step {
    std::uint32_t rows = 0;
    std::uint32_t outputs = 0;
    AdapterId adapter = 0;
  };
  std::vector<Step> steps;
  std::uint32_t saves = 0;
  std::uint32_t restores = 0;
  /// Set by tests.
  bool restores_fail = false;
  std::uint32_t cells_unusable = 0;  ///< As if fragments could not be used.
  ManualClock* clock = nullptr;      ///< Moved by what a step costs.
  std::function<double(std::uint32_t rows)> cost_ms = {};

  [[nodiscard]] std::uint32_t cells_used() const {
    return facts_.cells_total - static_cast<std::uint32_t>(free_.size());
  }
  [[nodiscard]] std::size_t sequences_used() const { return sequences_.size(); }

 private:
  struct Held {
    std::vector<Token> tokens = {};
    std::vector<std::uint32_t> cells = {};
    AdapterId adapter = 0;
  };
  void append(Held& held, Token token);
  void compute(const Held& held);

  RunnerFacts facts_;
  LogitScript script_;
  std::map<SequenceId, Held> sequences_;  // Empty ones are not there.
  std::set<std::uint32_t> free_;
  std::map<std::uint32_t, std::uint32_t> holders_;  // By cell.
  std::vector<std::vector<float>> outputs_;
};

}  // namespace hf::runtime
