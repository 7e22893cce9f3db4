#pragma once
// A request's prompt as tokens: renders chats through the fence, tokenises, keeps control tokens
// that users typed from acting as control tokens. Used by the engine's prep threads.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "chat/chat_template.hpp"
#include "runtime/runner.hpp"
#include "wire/messages.hpp"

namespace hf::runtime {

struct BuiltPrompt {
  std::vector<Token> tokens;
  std::string text;  ///< As tokenised; empty if tokens came in.
};

/// Threads: any.
class PromptBuilder {
 public:
  /// `renderer` may be null: the model has no chat template. Both must outlive the builder.
  /// `tokens_max`: longer prompts are refused before they cost time.
  PromptBuilder(const Tokenizer& tokenizer, chat::FencedRenderer* renderer, std::string bos_text,
                std::uint32_t tokens_max);

  /// Errors: invalid_argument, broken UTF-8, bad messages, unknown token or too long (both
  /// numbers); failed_precondition, no usable chat template.
  [[nodiscard]] Result<BuiltPrompt> build(const wire::Prompt& prompt) const;
  /// Plain text; control tokens in it act as such only if `parse_special`.
  [[nodiscard]] Result<std::vector<Token>> plain(std::string_view text, bool add_special,
                                                 bool parse_special) const;

 private:
  [[nodiscard]] Result<BuiltPrompt> chat(const wire::Prompt& prompt) const;
  [[nodiscard]] Result<void> check_length(std::string_view text) const;

  const Tokenizer& tokenizer_;
  chat::FencedRenderer* renderer_;
  std::string bos_text_;  // Empty where the tokenizer adds none.
  std::uint32_t tokens_max_;
  std::size_t piece_bytes_max_ = 1;         // Longest token: bounds tokens from below.
  std::vector<std::string> control_texts_;  // Longest first.
};

}  // namespace hf::runtime
