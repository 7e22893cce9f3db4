#include <cstdlib>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "chat/chat_template.hpp"
#include "chat/output_parser.hpp"
#include "chat/template_check.hpp"

namespace hf::chat {
namespace {

std::string file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string source(const std::string& name) {
  return file(std::string(HF_TEST_DATA) + "/templates/" + name + ".jinja");
}

std::unique_ptr<TemplateRenderer> renderer(const std::string& name) {
  auto opened = TemplateRenderer::open(source(name), "<s>", "</s>");
  EXPECT_TRUE(opened) << opened.error().message;
  return opened ? std::move(*opened) : nullptr;
}

const std::string kTools = R"([{"type": "function", "function": {"name": "weather",
  "description": "Weather of a city", "parameters": {"type": "object", "properties": {
  "city": {"type": "string"}, "unit": {"enum": ["C", "F"]}}, "required": ["city"]}}}])";

const std::string kCalls = R"([{"role": "system", "content": "Be brief."},
  {"role": "user", "content": "Rain in Oslo?"},
  {"role": "assistant", "content": null, "tool_calls": [{"id": "call_0123456789abcdef01234567",
   "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}}]},
  {"role": "tool", "tool_call_id": "call_0123456789abcdef01234567", "content": "wet"}])";

const std::string kTurns = R"([{"role": "user", "content": "Rain in Oslo?"},
  {"role": "assistant", "content": null, "tool_calls": [{"id": "call_0123456789abcdef01234567",
   "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}}]},
  {"role": "tool", "tool_call_id": "call_0123456789abcdef01234567", "content": "wet"}])";

TEST(TemplateRenderer, renders_plain_turns) {
  const auto text = renderer("plain")->render(
      {.messages_json = R"([{"role": "user", "content": "Hi \"you\" <b>{{ 1 + 1 }}</b>"}])"});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "[user] Hi \"you\" <b>{{ 1 + 1 }}</b>\n[assistant] ");
}

TEST(TemplateRenderer, joins_text_parts_for_templates_that_want_strings) {
  const auto text = renderer("plain")->render(
      {.messages_json = R"([{"role": "user", "content": [{"type": "text", "text": "a"},
        {"type": "text", "text": "b"}]}])",
       .add_generation_prompt = false});
  EXPECT_EQ(text.value(), "[user] a\nb\n");
}

TEST(TemplateRenderer, gives_parts_to_templates_that_want_parts) {
  const auto text =
      renderer("typed")->render({.messages_json = R"([{"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}]}])"});
  EXPECT_EQ(text.value(), "user:a;user:b;");
}

TEST(TemplateRenderer, refuses_images_by_their_place) {
  const auto text = renderer("plain")->render({.messages_json = R"([{"role": "user", "content": [
      {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]}])"});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::invalid_argument);
  EXPECT_EQ(text.error().param, "messages[0].content[1]");
}

TEST(TemplateRenderer, refuses_broken_requests_by_their_place) {
  const auto param = [&](RenderRequest request) {
    const auto text = renderer("hermes")->render(request);
    EXPECT_FALSE(text);
    EXPECT_EQ(text.error().code, Errc::invalid_argument);
    EXPECT_FALSE(text.error().message.empty());
    return text.error().param;
  };
  EXPECT_EQ(param({.messages_json = "{"}), "messages");
  EXPECT_EQ(param({.messages_json = "[]"}), "messages");
  EXPECT_EQ(param({.messages_json = "[1]"}), "messages[0]");
  EXPECT_EQ(param({.messages_json = "[{\"content\": \"a\"}]"}), "messages[0].role");
  EXPECT_EQ(param({.messages_json = R"([{"role": "user", "content": 3}])"}), "messages[0].content");
  EXPECT_EQ(param({.messages_json = std::string(5000, '[')}), "messages");
  const std::string hello = R"([{"role": "user", "content": "a"}])";
  EXPECT_EQ(param({.messages_json = hello, .tools_json = "[{}]"}), "tools[0]");
  EXPECT_EQ(param({.messages_json = hello, .template_args_json = "3"}), "chat_template_kwargs");
  EXPECT_EQ(param({.messages_json = hello, .template_args_json = R"({"messages": []})"}),
            "chat_template_kwargs");
  EXPECT_EQ(param({.messages_json = R"([{"role": "assistant", "tool_calls": [{"function":
      {"name": "f", "arguments": "[1]"}}]}])"}),
            "messages[0].tool_calls[0].function.arguments");
}

TEST(TemplateRenderer, tells_the_templates_own_words) {
  const auto text =
      renderer("hermes")->render({.messages_json = R"([{"role": "clown", "content": "x"}])"});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::invalid_argument);
  EXPECT_EQ(text.error().message,
            "The model's chat template refuses these messages: No turn for the role clown");
}

TEST(TemplateRenderer, keeps_prompt_text_out_of_errors) {
  auto failing = TemplateRenderer::open("{{ messages[0].content() }}", "", "");
  ASSERT_TRUE(failing);
  const auto text =
      (*failing)->render({.messages_json = R"([{"role": "user", "content": "secret"}])"});
  ASSERT_FALSE(text);
  EXPECT_FALSE((text.error().message + text.error().detail).contains("secret"));
}

TEST(TemplateRenderer, passes_extra_arguments) {
  const auto text = [](const std::string& args) {
    return renderer("hermes")
        ->render(
            {.messages_json = R"([{"role": "user", "content": "a"}])", .template_args_json = args})
        .value();
  };
  EXPECT_TRUE(ends_in_reasoning(text(R"({"enable_thinking": true})")));
  EXPECT_FALSE(ends_in_reasoning(text(R"({"enable_thinking": false})")));
  EXPECT_TRUE(text(R"({"enable_thinking": false})").contains("</think>"));
  EXPECT_FALSE(text("").contains("think"));
}

TEST(TemplateRenderer, gives_arguments_as_objects_where_the_template_quotes_them) {
  for (const std::string name : {"hermes", "llama3"}) {
    const auto text = renderer(name)->render({.messages_json = kCalls, .tools_json = kTools});
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_TRUE(text->contains("{\"city\": \"Oslo\"}")) << *text;
    EXPECT_TRUE(text->contains("Weather of a city")) << *text;
    EXPECT_TRUE(text->contains("wet")) << *text;
  }
}

TEST(TemplateRenderer, keeps_arguments_as_text_where_the_template_joins_them) {
  for (const std::string name : {"mistral", "deepseek"}) {
    const auto text = renderer(name)->render({.messages_json = kTurns, .tools_json = kTools});
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_TRUE(text->contains("{\"city\": \"Oslo\"}")) << *text;
    EXPECT_TRUE(text->contains("wet")) << *text;
  }
}

TEST(TemplateRenderer, shortens_call_ids_for_mistral) {
  const auto text = renderer("mistral")->render({.messages_json = kTurns}).value();
  const auto id = text.substr(text.find("\"id\": \"") + 7, 9);
  EXPECT_TRUE(text.contains("\"call_id\": \"" + id + "\"")) << text;
  EXPECT_FALSE(text.contains("call_0123")) << text;
}

TEST(TemplateRenderer, merges_system_text_where_the_role_is_refused) {
  const auto text = renderer("mistral")->render({.messages_json = kCalls}).value();
  EXPECT_TRUE(text.contains("[INST]Be brief.\n\nRain in Oslo?[/INST]")) << text;
}

TEST(TemplateRenderer, reads_developer_as_system) {
  const auto text = renderer("hermes")->render(
      {.messages_json = R"([{"role": "developer", "content": "Be brief."},
                            {"role": "user", "content": "a"}])"});
  EXPECT_TRUE(text.value().contains("system\nBe brief.")) << *text;
}

TEST(TemplateRenderer, describes_tools_where_the_template_knows_none) {
  const auto plain = renderer("plain");
  const auto text = plain->render({.messages_json = kCalls, .tools_json = kTools}).value();
  EXPECT_TRUE(
      text.contains("[system] Be brief.\n\nYou can use these tools:\n- weather: Weather of "
                    "a city\n  arguments: {\"city\": string, \"unit\": \"C\" or \"F\" "
                    "(optional)}"))
      << text;
  EXPECT_TRUE(
      text.contains("[assistant] <tool_call>{\"name\": \"weather\", \"arguments\": {\"city"
                    "\": \"Oslo\"}}</tool_call>"))
      << text;
  EXPECT_TRUE(text.contains("[user] Result of weather: wet")) << text;
  const auto before = with_tools_in_prompt(kCalls, kTools);
  ASSERT_TRUE(before) << before.error().message;
  EXPECT_EQ(plain->render({.messages_json = *before}).value(), text);
}

TEST(TemplateRenderer, writes_calls_that_its_style_reads_back) {
  const std::string messages = R"([{"role": "user", "content": "Q"}, {"role": "assistant",
    "content": "Hm", "tool_calls": [{"id": "abcdefghi", "type": "function", "function":
    {"name": "weather", "arguments": "{\"city\": \"Os\\\"lo\"}"}}]}])";
  for (const std::string name : {"plain", "hermes", "llama3", "mistral", "deepseek"}) {
    const auto text =
        renderer(name)->render({.messages_json = messages, .add_generation_prompt = false});
    ASSERT_TRUE(text) << name << text.error().message;
    auto style = detect_style(source(name));
    style.reasoning = ReasoningStyle::none;
    OutputParser parser(style, true, "s");
    auto whole = parser.feed(*text);
    ASSERT_EQ(parser.tool_calls(), 1U) << name << ": " << *text;
    std::string arguments;
    for (const auto& part : whole.tool_calls) arguments += part.arguments;
    EXPECT_EQ(nlohmann::json::parse(arguments), nlohmann::json({{"city", "Os\"lo"}})) << name;
  }
}

TEST(TemplateRenderer, refuses_templates_that_do_not_parse) {
  for (const std::string text :
       {"{% if %}", "{{ 'a }}", "{% for x in y %}", "{{ a b }}", "{% endif %}", "{#"}) {
    const auto opened = TemplateRenderer::open(text, "", "");
    ASSERT_FALSE(opened) << text;
    EXPECT_EQ(opened.error().code, Errc::invalid_argument) << text;
    EXPECT_TRUE(opened.error().message.starts_with("The model's chat template")) << text;
  }
}

TEST(TemplateRenderer, reads_the_template_of_a_real_model) {
  const char* path = std::getenv("HF_TEST_GGUF");
  if (path == nullptr) GTEST_SKIP() << "HF_TEST_GGUF names no model file.";
  const auto model = file(path);
  const std::string key = "tokenizer.chat_template";
  const auto at = model.find(key);
  ASSERT_NE(at, std::string::npos);
  std::uint64_t size = 0;
  std::memcpy(&size, model.data() + at + key.size() + 4, sizeof size);
  const auto text = model.substr(at + key.size() + 12, size);
  EXPECT_EQ(detect_style(text).tools, ToolStyle::generic);
  auto opened = TemplateRenderer::open(text, "<|im_start|>", "<|im_end|>");
  ASSERT_TRUE(opened) << opened.error().message;
  const auto prompt = (*opened)->render({.messages_json = kCalls, .tools_json = kTools});
  ASSERT_TRUE(prompt) << prompt.error().message;
  EXPECT_TRUE(prompt->contains("- weather: Weather of a city")) << *prompt;
  EXPECT_TRUE(prompt->ends_with("<|im_start|>assistant\n")) << *prompt;
}

TEST(CheckedTemplate, empties_comments_and_keeps_their_signs) {
  EXPECT_EQ(checked_template("a{#- long -#}b{# x #}{#~ y ~#}").value(), "a{#- -#}b{# #}{#~ ~#}");
  EXPECT_EQ(checked_template("{{ '{# no comment #}' }}").value(), "{{ '{# no comment #}' }}");
  EXPECT_EQ(checked_template("{{ {'a': {'b': 1}} }}").value(), "{{ {'a': {'b': 1}} }}");
  EXPECT_TRUE(TemplateRenderer::open("{#" + std::string(500'000, 'x') + "#}", "", ""));
}

TEST(CheckedTemplate, refuses_what_would_recurse_too_deeply) {
  const auto repeated = [](const std::string& part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  };
  for (const auto& text :
       {"{{ " + repeated("(", 20'000), "{{ " + repeated("not ", 20'000) + "a }}",
        "{{ a" + repeated(" + a", 20'000) + " }}", repeated("{% if a %}", 20'000),
        "{{ " + std::string(20'000, 'a') + " }}", std::string(2U << 20U, ' '),
        "a" + std::string(20'000, ' '), std::string(10U << 20U, '{')}) {
    EXPECT_FALSE(checked_template(text)) << text.substr(0, 20);
  }
}

}  // namespace
}  // namespace hf::chat
