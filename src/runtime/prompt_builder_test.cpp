#include "runtime/prompt_builder.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace hf::runtime {
namespace {

constexpr Token kBegin = 256;

// A byte is a token; 256 is "<s>". Some tokenizers put it before every prompt, some do not.
class ByteTokenizer final : public Tokenizer {
 public:
  explicit ByteTokenizer(bool adds_begin) : adds_begin_(adds_begin) {}
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text, bool add_special,
                                            bool parse_special) const override {
    std::vector<Token> tokens;
    if (add_special && adds_begin_) tokens.push_back(kBegin);
    while (!text.empty()) {
      const bool begin = parse_special && text.starts_with("<s>");
      tokens.push_back(begin ? kBegin : static_cast<Token>(static_cast<unsigned char>(text[0])));
      text.remove_prefix(begin ? 3 : 1);
    }
    return tokens;
  }
  [[nodiscard]] std::string piece(Token token, bool show_control) const override {
    if (token == kBegin) return show_control ? "<s>" : "";
    return std::string(1, static_cast<char>(token));
  }
  [[nodiscard]] bool ends_generation(Token) const override { return false; }
  [[nodiscard]] bool is_control(Token token) const override { return token == kBegin; }
  [[nodiscard]] std::uint32_t vocabulary() const override { return 257; }

 private:
  bool adds_begin_;
};

// Renders every conversation to the same text.
class FixedRenderer final : public chat::FencedRenderer {
 public:
  explicit FixedRenderer(std::string text) : text_(std::move(text)) {}
  Result<std::string> render(const chat::RenderRequest&) override { return text_; }
  [[nodiscard]] int child() const override { return 0; }

 private:
  std::string text_;
};

std::vector<Token> chat_tokens(bool adds_begin, const std::string& rendered) {
  const ByteTokenizer tokenizer(adds_begin);
  FixedRenderer renderer(rendered);
  const PromptBuilder builder(tokenizer, &renderer, "<s>", 100);
  const auto built = builder.build(
      {.kind = wire::PromptKind::chat, .messages_json = R"([{"role":"user","content":"x"}])"});
  EXPECT_TRUE(built.has_value());
  return built ? built->tokens : std::vector<Token>{};
}

TEST(PromptBuilder, a_chat_begins_with_one_begin_token_whoever_writes_it) {
  const std::vector<Token> wanted = {kBegin, 'h', 'i'};
  EXPECT_EQ(chat_tokens(true, "<s>hi"), wanted);
  EXPECT_EQ(chat_tokens(true, "hi"), wanted);
  EXPECT_EQ(chat_tokens(false, "<s>hi"), wanted);
}

TEST(PromptBuilder, a_prompt_that_cannot_fit_is_refused_with_both_numbers) {
  const ByteTokenizer tokenizer(true);
  const PromptBuilder builder(tokenizer, nullptr, "<s>", 10);
  const auto refused = builder.plain(std::string(1000, 'a'), true, true);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  EXPECT_NE(refused.error().message.find("10 tokens"), std::string::npos);
  EXPECT_NE(refused.error().message.find("333"), std::string::npos);
}

}  // namespace
}  // namespace hf::runtime
