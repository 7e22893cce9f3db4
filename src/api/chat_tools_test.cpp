// Tool calls and reasoning in chats, in the styles models have.
#include <gtest/gtest.h>

#include "api/generation_scene.hpp"

namespace hf::api::test {
namespace {

constexpr std::string_view kTools =
    R"("tools":[{"type":"function","function":{"name":"add","parameters":)"
    R"({"type":"object","properties":{"a":{"type":"integer"}}}}},)"
    R"({"type":"function","function":{"name":"sub"}}])";
constexpr std::string_view kHermes = "{{ tools }} <tool_call>";
constexpr std::string_view kLlama = "{{ tools }} <|python_tag|>";
constexpr std::string_view kDeepseek = "{{ tools }} <｜tool▁call▁begin｜>";
constexpr std::string_view kThinking = "{{ tools }} <tool_call> <think>";

std::string body(std::string_view more) {
  return R"({"model":"m","messages":[{"role":"user","content":"hi"}],)" + std::string(kTools) +
         std::string(more) + "}";
}

Script thinking(const std::vector<std::string>& texts) {
  auto script = says(texts);
  script[0] = wire::Started{.prompt_tokens = 5, .reasoning_open = 1};
  return script;
}

struct Style {
  std::string source;
  std::vector<std::string> texts;
};

const std::vector<Style>& styles() {
  static const std::vector<Style> all = {
      {std::string(kHermes),
       {"Sure. ", "<tool_", "call>\n{\"name\":\"add\",\"argu",
        "ments\":{\"a\":", "1}}\n</tool_call>"}},
      {std::string(kLlama), {"{\"name\":\"add\",", "\"parameters\":{\"a\":", "1}}"}},
      {std::string(kDeepseek),
       {"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>",
        "function<｜tool▁sep｜>add\n```json\n{\"a\":",
        "1}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"}}};
  return all;
}

TEST(ChatTools, come_whole_in_every_style) {
  for (const auto& style : styles()) {
    Scene scene;
    scene.template_is(style.source);
    const auto sink = scene.send(chat_completions, body(""));
    EXPECT_EQ(scene.request().grammar.kind, wire::GrammarKind::gbnf);
    EXPECT_FALSE(scene.request().grammar.triggers.empty());
    scene.models.play(says(style.texts));
    const auto& answer = sink->body();
    EXPECT_EQ(at(answer, "choices.0.finish_reason"), "tool_calls") << answer;
    const std::string call = "choices.0.message.tool_calls.0.";
    EXPECT_TRUE(at(answer, call + "id").starts_with("call_"));
    EXPECT_EQ(at(answer, call + "type"), "function");
    EXPECT_EQ(at(answer, call + "function.name"), "add");
    EXPECT_EQ(at(answer, call + "function.arguments"), "{\"a\":1}");
  }
}

TEST(ChatTools, come_in_pieces_in_every_style) {
  for (const auto& style : styles()) {
    Scene scene;
    scene.template_is(style.source);
    const auto sink = scene.send(chat_completions, body(R"(,"stream":true)"));
    scene.models.play(says(style.texts));
    const std::string call = "choices.0.delta.tool_calls.0.";
    EXPECT_TRUE(joined(*sink, call + "id").starts_with("call_"));
    EXPECT_EQ(joined(*sink, call + "id").size(), 29U);
    EXPECT_EQ(joined(*sink, call + "type"), "function");
    EXPECT_EQ(joined(*sink, call + "function.name"), "add");
    EXPECT_EQ(joined(*sink, call + "function.arguments"), "{\"a\":1}");
    EXPECT_EQ(joined(*sink, "choices.0.finish_reason"), "tool_calls");
  }
}

TEST(ChatTools, leave_content_null_where_there_is_none) {
  Scene scene;
  scene.template_is(std::string(kLlama));
  const auto sink = scene.send(chat_completions, body(""));
  scene.models.play(says({R"({"name":"sub","parameters":{}})"}));
  EXPECT_EQ(at(sink->body(), "choices.0.message.content"), "null");
}

TEST(ChatTools, are_plain_text_where_none_are_offered) {
  Scene scene;
  const auto sink = scene.send(chat_completions, body(R"(,"tool_choice":"none")"));
  scene.models.play(says({R"(<tool_call>{"name":"add","arguments":{}}</tool_call>)"}));
  EXPECT_EQ(at(sink->body(), "choices.0.finish_reason"), "stop");
  EXPECT_TRUE(at(sink->body(), "choices.0.message.content").starts_with("<tool_call>"));
}

TEST(ChatTools, can_be_forced) {
  Scene scene;
  scene.send(chat_completions, body(R"(,"tool_choice":"required")"));
  EXPECT_TRUE(scene.request().grammar.triggers.empty());
  EXPECT_NE(scene.request().grammar.text.find("add"), std::string::npos);
  scene.send(chat_completions,
             body(R"(,"tool_choice":{"type":"function","function":{"name":"sub"}})"));
  EXPECT_EQ(scene.request(1).grammar.text.find("add"), std::string::npos);
  EXPECT_NE(scene.request(1).grammar.text.find("sub"), std::string::npos);
}

TEST(ChatTools, end_after_the_first_call_unless_parallel) {
  const std::string call =
      "<tool_call>\n{\"name\":\"add\",\"arguments\":{\"a\":1}}\n</tool_call>\n";
  for (const bool stream : {false, true}) {
    Scene scene;
    const std::string more = stream ? R"(,"stream":true)" : "";
    const auto sink = scene.send(chat_completions, body(R"(,"parallel_tool_calls":false)" + more));
    scene.models.play({wire::Started{}, wire::Delta{.tokens = {1}, .text = call}});
    EXPECT_FALSE(scene.models.asked[0]->cancelled);
    scene.models.play({wire::Delta{.tokens = {2}, .text = call}});
    EXPECT_TRUE(scene.models.asked[0]->cancelled);
    scene.models.play({wire::Done{.prompt_tokens = 5, .completion_tokens = 2}});
    if (stream) {
      EXPECT_EQ(joined(*sink, "choices.0.delta.tool_calls.0.function.name"), "add");
      EXPECT_EQ(joined(*sink, "choices.0.finish_reason"), "tool_calls");
      EXPECT_EQ(sink->events().back(), "[DONE]");
    } else {
      EXPECT_EQ(at(sink->body(), "choices.0.message.tool_calls.1"), "(none)");
      EXPECT_EQ(at(sink->body(), "choices.0.finish_reason"), "tool_calls");
      EXPECT_EQ(at(sink->body(), "usage.completion_tokens"), "2");
    }
  }
}

TEST(ChatTools, end_one_choice_of_several_without_stopping_the_others) {
  const std::string call =
      "<tool_call>\n{\"name\":\"add\",\"arguments\":{\"a\":1}}\n</tool_call>\n";
  Scene scene;
  const auto sink = scene.send(chat_completions, body(R"(,"parallel_tool_calls":false,"n":2)"));
  scene.models.play({wire::Started{}, wire::Delta{.tokens = {1}, .text = call + call}});
  EXPECT_FALSE(scene.models.asked[0]->cancelled);
  scene.models.play({wire::Delta{.tokens = {2}, .text = "ignored"},
                     wire::Delta{.choice = 1, .tokens = {3}, .text = "text"},
                     wire::ChoiceDone{.choice = 0}, wire::ChoiceDone{.choice = 1}, wire::Done{}});
  EXPECT_EQ(at(sink->body(), "choices.0.finish_reason"), "tool_calls");
  EXPECT_EQ(at(sink->body(), "choices.1.message.content"), "text");
}

TEST(ChatTools, allow_several_calls) {
  Scene scene;
  const auto sink = scene.send(chat_completions, body(""));
  scene.models.play(says({"<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>",
                          "<tool_call>{\"name\":\"sub\",\"arguments\":{}}</tool_call>"}));
  EXPECT_EQ(at(sink->body(), "choices.0.message.tool_calls.1.function.name"), "sub");
  EXPECT_NE(at(sink->body(), "choices.0.message.tool_calls.0.id"),
            at(sink->body(), "choices.0.message.tool_calls.1.id"));
}

TEST(ChatReasoning, is_split_off_and_counted) {
  Scene scene;
  scene.template_is(std::string(kThinking));
  const auto sink = scene.send(chat_completions, body(""));
  scene.models.play(thinking({"Let me", " think", "</think>", "\n\n", "Yes", "."}));
  const auto& answer = sink->body();
  EXPECT_EQ(at(answer, "choices.0.message.reasoning_content"), "Let me think");
  EXPECT_EQ(at(answer, "choices.0.message.content"), "Yes.");
  EXPECT_EQ(at(answer, "usage.completion_tokens_details.reasoning_tokens"), "2");
  EXPECT_EQ(at(answer, "choices.0.finish_reason"), "stop");
}

TEST(ChatReasoning, streams_before_the_content) {
  Scene scene;
  scene.template_is(std::string(kThinking));
  const auto sink = scene.send(chat_completions, body(R"(,"stream":true)"));
  scene.models.play(says({"<think>", "Hm", "m", "</think>", "Yes"}));
  const auto events = sink->events();
  ASSERT_EQ(events.size(), 6U);
  EXPECT_EQ(at(events[1], "choices.0.delta.reasoning_content"), "Hm");
  EXPECT_EQ(at(events[1], "choices.0.delta.content"), "(none)");
  EXPECT_EQ(at(events[2], "choices.0.delta.reasoning_content"), "m");
  EXPECT_EQ(at(events[3], "choices.0.delta.content"), "Yes");
}

TEST(ChatReasoning, comes_before_a_forced_call) {
  Scene scene;
  scene.template_is(std::string(kThinking));
  scene.models.rendered = "<|assistant|><think>\n";
  const auto sink = scene.send(chat_completions, body(R"(,"tool_choice":"required")"));
  const auto& grammar = scene.request().grammar;
  EXPECT_NE(grammar.text.find("root ::= hf-thought \"</think>\""), std::string::npos);
  scene.models.play(
      thinking({"So", "</think>\n", "<tool_call>{\"name\":\"sub\",\"arguments\":{}}</tool_call>"}));
  EXPECT_EQ(at(sink->body(), "choices.0.message.reasoning_content"), "So");
  EXPECT_EQ(at(sink->body(), "choices.0.message.tool_calls.0.function.name"), "sub");
}

TEST(ChatReasoning, is_not_bound_by_a_response_format) {
  Scene scene;
  scene.template_is(std::string(kThinking));
  scene.models.rendered = "<|assistant|>";
  scene.send(chat_completions, R"({"model":"m","messages":[{"role":"user","content":"hi"}],)"
                               R"("response_format":{"type":"json_object"}})");
  EXPECT_NE(scene.request().grammar.text.find("( \"<think>\" hf-thought \"</think>\" )?"),
            std::string::npos);
}

}  // namespace
}  // namespace hf::api::test
