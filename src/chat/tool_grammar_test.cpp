#include <algorithm>
#include <bit>
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "chat/output_parser.hpp"
#include "grammar/grammar.hpp"

namespace hf::chat {
namespace {

const std::string kTools = R"([
  {"type": "function", "function": {"name": "weather", "strict": true, "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "maxLength": 12},
    "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
    "required": ["city", "unit", "days"], "additionalProperties": false}}},
  {"type": "function", "function": {"name": "function"}},
  {"type": "function", "function": {"name": "tag-list_2", "parameters": {"type": "object",
    "properties": {"tags": {"type": "array", "items": {"type": "string", "maxLength": 5},
    "maxItems": 3}}, "required": ["tags"], "additionalProperties": false}}},
  {"type": "function", "function": {"name": "any", "parameters": {}}}])";

constexpr ToolStyle kStyles[] = {ToolStyle::hermes, ToolStyle::llama3, ToolStyle::mistral,
                                 ToolStyle::deepseek, ToolStyle::generic};

const grammar::TokenTable& bytes_as_tokens() {
  static const auto table = [] {
    std::vector<std::string> pieces;
    for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
    pieces.emplace_back();
    return grammar::TokenTable(std::move(pieces), {256});
  }();
  return table;
}

std::vector<wire::Token> allowed(grammar::Matcher& matcher) {
  std::vector<wire::Token> tokens;
  wire::Token base = 0;
  for (auto word : matcher.mask()) {
    for (; word != 0; word &= word - 1) tokens.push_back(base + std::countr_zero(word));
    base += 64;
  }
  return tokens;
}

// A random sentence; after a while it closes what it can, so that it ends.
std::string sample(const std::shared_ptr<const grammar::Grammar>& grammar, std::mt19937& random) {
  const auto matcher = grammar::make_matcher(grammar, bytes_as_tokens());
  std::string text;
  while (!matcher->must_end() && text.size() < 5000) {
    if (matcher->can_end() && random() % 3 == 0) return text;
    const auto tokens = allowed(*matcher);
    if (tokens.empty()) break;
    auto token = tokens[random() % tokens.size()];
    if (text.size() > 150 || random() % 3 == 0) {
      for (const auto closing : {'"', '}', ']'}) {
        if (!std::ranges::contains(tokens, wire::Token{closing})) continue;
        token = closing;
        break;
      }
    }
    if (token == 256) return text;
    EXPECT_TRUE(matcher->accept(token));
    text.push_back(static_cast<char>(token));
  }
  EXPECT_TRUE(matcher->can_end()) << text;
  return text;
}

struct Parsed {
  std::string content;
  std::vector<std::string> names;
  std::vector<std::string> arguments;
};

Parsed parse(ToolStyle style, const std::string& text) {
  OutputParser parser({.tools = style}, true, "s");
  Parsed parsed;
  const auto add = [&](const OutputDelta& delta) {
    parsed.content += delta.content;
    for (const auto& call : delta.tool_calls) {
      if (!call.name.empty()) {
        parsed.names.push_back(call.name);
        parsed.arguments.emplace_back();
      }
      parsed.arguments[call.index] += call.arguments;
    }
  };
  add(parser.feed(text));
  add(parser.finish());
  return parsed;
}

void expect_good_calls(const Parsed& parsed, const std::string& text) {
  const std::set<std::string> known = {"weather", "function", "tag-list_2", "any"};
  ASSERT_FALSE(parsed.names.empty()) << text;
  for (std::size_t i = 0; i < parsed.names.size(); ++i) {
    EXPECT_TRUE(known.contains(parsed.names[i])) << text;
    const auto arguments = nlohmann::json::parse(parsed.arguments[i], nullptr, false);
    ASSERT_TRUE(arguments.is_object()) << text;
    if (parsed.names[i] == "weather") {
      EXPECT_EQ(arguments.size(), 3U) << text;
      EXPECT_TRUE(arguments["days"].is_number_integer()) << text;
    }
    if (parsed.names[i] == "tag-list_2") {
      EXPECT_TRUE(arguments["tags"].is_array()) << text;
    }
  }
}

std::shared_ptr<const grammar::Grammar> compiled(const wire::Grammar& source) {
  auto plain = source;
  plain.triggers.clear();
  auto made = grammar::compile(plain);
  EXPECT_TRUE(made) << made.error().message << "\n" << source.text;
  return made ? *made : nullptr;
}

TEST(ToolCallGrammar, allows_only_what_the_parser_reads_from_the_first_token) {
  std::mt19937 random(5);
  for (const auto style : kStyles) {
    for (const bool parallel : {false, true}) {
      const auto made = tool_call_grammar(style, kTools, ToolChoice::required, "", parallel);
      ASSERT_TRUE(made) << made.error().message;
      EXPECT_TRUE(made->triggers.empty());
      const auto grammar = compiled(*made);
      ASSERT_TRUE(grammar);
      std::size_t most = 0;
      for (int round = 0; round < 60; ++round) {
        const auto text = sample(grammar, random);
        const auto parsed = parse(style, text);
        EXPECT_EQ(parsed.content.find_first_not_of('\n'), std::string::npos) << text;
        expect_good_calls(parsed, text);
        most = std::max(most, parsed.names.size());
      }
      EXPECT_EQ(most > 1, parallel) << static_cast<int>(style);
    }
  }
}

TEST(ToolCallGrammar, allows_only_what_the_parser_reads_after_each_trigger) {
  std::mt19937 random(6);
  for (const auto style : kStyles) {
    const auto made = tool_call_grammar(style, kTools, ToolChoice::automatic, "", true);
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_FALSE(made->triggers.empty());
    const auto grammar = compiled(*made);
    ASSERT_TRUE(grammar);
    for (const auto& trigger : made->triggers) {
      for (int round = 0; round < 30; ++round) {
        const auto text = trigger + sample(grammar, random);
        const auto parsed = parse(style, "First. " + text);
        EXPECT_EQ(parsed.content, "First.") << text;
        expect_good_calls(parsed, text);
        const auto twice = parse(style, text + "\n" + text);
        EXPECT_EQ(twice.content, "") << text;
        EXPECT_EQ(twice.names.size(), 2 * parsed.names.size()) << text;
      }
    }
  }
}

TEST(ToolCallGrammar, holds_to_the_named_tool) {
  std::mt19937 random(8);
  for (const auto style : kStyles) {
    const auto made = tool_call_grammar(style, kTools, ToolChoice::named, "weather", false);
    ASSERT_TRUE(made) << made.error().message;
    const auto grammar = compiled(*made);
    ASSERT_TRUE(grammar);
    for (int round = 0; round < 20; ++round) {
      const auto text = sample(grammar, random);
      const auto parsed = parse(style, text);
      EXPECT_EQ(parsed.names, std::vector<std::string>{"weather"}) << text;
      expect_good_calls(parsed, text);
    }
  }
}

TEST(ToolCallGrammar, allows_what_models_write) {
  const auto allows = [](ToolStyle style, std::string_view text) {
    const auto made = tool_call_grammar(style, kTools, ToolChoice::required, "", true);
    const auto matcher = grammar::make_matcher(compiled(*made), bytes_as_tokens());
    return matcher->accept_bytes(text) && matcher->can_end();
  };
  const std::string arguments = R"({"city": "Oslo", "unit": "C", "days": 3})";
  EXPECT_TRUE(allows(ToolStyle::hermes, "<tool_call>\n{\"name\": \"weather\", \"arguments\": " +
                                            arguments + "}\n</tool_call>"));
  EXPECT_FALSE(allows(ToolStyle::hermes,
                      "<tool_call>\n{\"name\": \"other\", \"arguments\": {}}\n"
                      "</tool_call>"));
  EXPECT_FALSE(allows(ToolStyle::hermes,
                      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {}}\n"
                      "</tool_call>"));
  EXPECT_TRUE(allows(ToolStyle::llama3, "{\"name\": \"weather\", \"parameters\": " + arguments +
                                            "}; {\"name\": \"function\", \"parameters\": {}}"));
  EXPECT_TRUE(allows(ToolStyle::mistral,
                     "[TOOL_CALLS] [{\"name\": \"weather\", \"arguments\": " + arguments + "}]"));
  EXPECT_TRUE(allows(ToolStyle::mistral, "[TOOL_CALLS]weather[ARGS]" + arguments));
  EXPECT_TRUE(allows(ToolStyle::deepseek,
                     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n"
                     "```json\n" +
                         arguments + "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"));
}

TEST(ToolCallGrammar, refuses_wrong_tools_by_their_place) {
  const auto error = [](std::string_view tools, ToolChoice choice, std::string_view named) {
    const auto made = tool_call_grammar(ToolStyle::hermes, tools, choice, named, true);
    return made ? Error{} : made.error();
  };
  const auto tool = [](const std::string& rest) {
    return R"([{"type": "function", "function": {)" + rest + "}}]";
  };
  EXPECT_EQ(error("{", ToolChoice::automatic, "").param, "tools");
  EXPECT_EQ(error(tool(R"("name": "a b")"), ToolChoice::automatic, "").param,
            "tools[0].function.name");
  EXPECT_EQ(
      error(tool("\"name\": \"" + std::string(65, 'a') + "\""), ToolChoice::automatic, "").param,
      "tools[0].function.name");
  EXPECT_EQ(error(kTools, ToolChoice::named, "missing").param, "tool_choice");
  EXPECT_EQ(error("[]", ToolChoice::required, "").param, "tool_choice");
  const auto strict =
      error(tool(R"("name": "f", "strict": true, "parameters": {"type": "string"})"),
            ToolChoice::automatic, "");
  EXPECT_EQ(strict.param, "tools[0].function.parameters");
  EXPECT_TRUE(strict.message.contains("'f'")) << strict.message;
  const auto twice = R"([{"type": "function", "function": {"name": "f"}},
                         {"type": "function", "function": {"name": "f"}}])";
  EXPECT_EQ(error(twice, ToolChoice::automatic, "").param, "tools[1].function.name");
}

TEST(ToolCallGrammar, takes_any_object_for_a_loose_tool_it_cannot_compile) {
  const auto made = tool_call_grammar(
      ToolStyle::hermes,
      R"([{"type": "function", "function": {"name": "f", "parameters": {"$ref": "#/nowhere"}}}])",
      ToolChoice::required, "", false);
  ASSERT_TRUE(made) << made.error().message;
  const auto matcher = grammar::make_matcher(compiled(*made), bytes_as_tokens());
  EXPECT_TRUE(matcher->accept_bytes(
      R"(<tool_call>{"name": "f", "arguments": {"x": [1, {"y": null}]}}</tool_call>)"));
  EXPECT_TRUE(matcher->can_end());
}

TEST(ToolCallGrammar, is_none_without_tools_or_choice) {
  EXPECT_EQ(tool_call_grammar(ToolStyle::hermes, "", ToolChoice::automatic, "", true)->kind,
            wire::GrammarKind::none);
  EXPECT_EQ(tool_call_grammar(ToolStyle::hermes, kTools, ToolChoice::none, "", true)->kind,
            wire::GrammarKind::none);
}

}  // namespace
}  // namespace hf::chat
