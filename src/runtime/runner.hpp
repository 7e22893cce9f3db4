#pragma once
// The seam between the scheduler and whatever computes the model: libllama today, native CPU and
// CUDA runners later (docs/adr/0004). A runner knows tokens, sequences and cells; it knows nothing
// of requests, sampling, text or sockets.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/messages.hpp"

namespace hf::runtime {

using wire::Token;
/// A sequence's slot in the runner, 0 .. RunnerFacts::sequences_max-1.
using SequenceId = std::uint32_t;
/// An adapter loaded into the runner; 0 is the base model.
using AdapterId = std::uint32_t;

struct RunnerFacts {
  std::uint32_t cells_total = 0;        ///< Token positions held at once, over all sequences.
  std::uint32_t sequences_max = 0;      ///< 256 for libllama.
  std::uint32_t rows_max = 0;           ///< Most rows of one step.
  std::uint32_t outputs_max = 0;        ///< Most rows of one step that want logits.
  std::uint32_t adapters_per_step = 1;  ///< 1: all rows of a step use one adapter.
  std::uint32_t context_train_tokens = 0;
  std::uint32_t vocabulary = 0;
  bool shares_prefixes = true;  ///< share() works for any prefix (false: recurrent models).
  bool truncates = true;        ///< truncate() works for any length.
  /// Every occupied cell costs time in every step, also of sequences that are not in it.
  bool idle_cells_cost = false;
};

/// One token to compute. Rows of one sequence are in order of position, without gaps.
struct Row {
  Token token = 0;
  std::uint32_t position = 0;  ///< From 0; equals the sequence's length before this row.
  SequenceId sequence = 0;
  AdapterId adapter = 0;
  bool wants_logits = false;
};

enum class StepOutcome : std::uint8_t {
  done,
  no_cells,  ///< Too few cells; nothing changed. Free some or plan fewer rows.
};

/// Threads: one owner (the engine thread) for everything.
class Runner {
 public:
  virtual ~Runner() = default;
  [[nodiscard]] virtual const RunnerFacts& facts() const = 0;

  /// Computes the rows and appends them to their sequences.
  /// Errors: internal, the model could not compute; the engine must restart.
  virtual Result<StepOutcome> step(std::span<const Row> rows) = 0;

  /// Logits of the n-th row of the last step that wanted them, [vocabulary], raw. The caller may
  /// overwrite them. Valid until the next step.
  virtual std::span<float> logits(std::size_t output) = 0;

  /// Makes the first `tokens` positions of `from` also the beginning of `to`, which must be empty.
  /// No cells are copied. Cost: small (metadata).
  virtual void share(SequenceId from, SequenceId to, std::uint32_t tokens) = 0;
  /// Adds positions [begin, end) of `from` to `to`, which has exactly `begin` tokens.
  virtual void share_range(SequenceId from, SequenceId to, std::uint32_t begin,
                           std::uint32_t end) = 0;
  /// Forgets all but the first `tokens` positions; 0 empties the sequence. Cells shared with other
  /// sequences stay.
  virtual void truncate(SequenceId sequence, std::uint32_t tokens) = 0;

  /// Copies a sequence to host memory / back into an empty one (any id). The cells must be free
  /// for restore. Errors: resource_exhausted, no memory or cells; nothing changed then.
  virtual Result<std::vector<std::uint8_t>> save(SequenceId sequence) = 0;
  virtual Result<void> restore(SequenceId sequence, std::span<const std::uint8_t> saved) = 0;

  /// Errors: not_found, data_corrupt; nothing changed then.
  virtual Result<AdapterId> load_adapter(const std::string& path, float scale) = 0;
  virtual void unload_adapter(AdapterId adapter) = 0;
};

/// Text to tokens and back. Threads: any; does not block.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// `add_special`: as the model wants at a prompt's start (BOS). `parse_special`: control tokens
  /// written in the text become control tokens; false treats them as text.
  [[nodiscard]] virtual std::vector<Token> tokenize(std::string_view text, bool add_special,
                                                    bool parse_special) const = 0;
  /// The token's bytes (may be part of a character). Control tokens give their name only if asked.
  [[nodiscard]] virtual std::string piece(Token token, bool show_control) const = 0;
  [[nodiscard]] virtual bool ends_generation(Token token) const = 0;
  [[nodiscard]] virtual bool is_control(Token token) const = 0;
  [[nodiscard]] virtual std::uint32_t vocabulary() const = 0;
  /// Query and document as one input of a cross-encoder, from their tokens with special ones.
  /// Source: BERT sentence pairs; the second BOS is dropped, EOS or SEP parts the two.
  [[nodiscard]] virtual std::vector<Token> join_pair(std::span<const Token> query,
                                                     std::span<const Token> document) const {
    std::vector<Token> joined(query.begin(), query.end());
    joined.insert(joined.end(), document.begin(), document.end());
    return joined;
  }
};

/// Pooled vectors and rerank scores. Threads: one owner.
class Embedder {
 public:
  virtual ~Embedder() = default;
  [[nodiscard]] virtual std::uint32_t width() const = 0;
  [[nodiscard]] virtual std::uint32_t tokens_max() const = 0;  ///< Longest input.
  /// One vector (embedding models) or one score (rerankers, width 1) per input; not normalised.
  /// Errors: invalid_argument, an input is empty or too long.
  virtual Result<std::vector<std::vector<float>>> embed(
      std::span<const std::vector<Token>> inputs) = 0;
};

}  // namespace hf::runtime
