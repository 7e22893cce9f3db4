#include "chat/output_parser.hpp"

#include <map>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "chat/json_scan.hpp"

namespace hf::chat {
namespace {

struct Whole {
  struct Call {
    std::string id, name, arguments;
    bool operator==(const Call&) const = default;
  };
  std::string reasoning, content;
  std::map<std::uint32_t, Call> calls;
  bool operator==(const Whole&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Whole& whole) {
  out << "reasoning[" << whole.reasoning << "] content[" << whole.content << "]";
  for (const auto& [index, call] : whole.calls) {
    out << " " << index << ":" << call.name << "(" << call.arguments << ")";
  }
  return out;
}

void add(Whole& whole, const OutputDelta& delta) {
  whole.reasoning += delta.reasoning;
  whole.content += delta.content;
  for (const auto& part : delta.tool_calls) {
    const bool first = !whole.calls.contains(part.index);
    EXPECT_EQ(first, !part.id.empty());
    EXPECT_EQ(first, !part.name.empty());
    auto& call = whole.calls[part.index];
    if (first) call = {part.id, part.name, {}};
    call.arguments += part.arguments;
  }
}

Whole parse(OutputStyle style, const std::vector<std::string>& pieces, bool tools_allowed = true) {
  OutputParser parser(style, tools_allowed, "seed");
  Whole whole;
  for (const auto& piece : pieces) add(whole, parser.feed(piece));
  add(whole, parser.finish());
  EXPECT_EQ(parser.tool_calls(), whole.calls.size());
  return whole;
}

OutputStyle tools(ToolStyle style) {
  return {.tools = style};
}

Whole parse(ToolStyle style, const std::string& text) {
  return parse(tools(style), {text});
}

void expect_call(const Whole& whole, std::uint32_t index, std::string_view name,
                 std::string_view arguments) {
  ASSERT_TRUE(whole.calls.contains(index)) << whole;
  EXPECT_EQ(whole.calls.at(index).name, name);
  EXPECT_EQ(whole.calls.at(index).arguments, arguments);
  EXPECT_TRUE(nlohmann::json::accept(whole.calls.at(index).arguments));
}

constexpr OutputStyle kThinking{.tools = ToolStyle::hermes,
                                .reasoning = ReasoningStyle::think_tags};
constexpr OutputStyle kOpened{
    .tools = ToolStyle::hermes, .reasoning = ReasoningStyle::think_tags, .reasoning_open = true};

const std::string kDeepseekV3 =
    "Looking.\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n"
    "```json\n{\"city\": \"Oslo\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function"
    "<｜tool▁sep｜>time\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>";

// Texts that between them go through every path of the parser.
const std::vector<std::pair<OutputStyle, std::string>>& samples() {
  static const std::vector<std::pair<OutputStyle, std::string>> all = {
      {kThinking, "<think>\nFirst, add.\n\n</think>\n\nIt is 4.\n"},
      {kOpened,
       "First </thin, add.</think>\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n"
       "</tool_call>"},
      {kOpened, "<think>\nNever closed <tool_call> "},
      {tools(ToolStyle::hermes),
       "I look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Tromsø \\\"x\\\" "
       "{[\", \"n\": [1, -2.5e3, true, null]}}\n</tool_call>\n<tool_call>{\"arguments\": {\"a\": "
       "1}, \"name\": \"g\"}</tool_call> Done."},
      {tools(ToolStyle::hermes),
       "a <tool_call> b <tool_call>{\"name\": \"f\", \"arguments\": "
       "{\"a\":}}</tool_call> c"},
      {tools(ToolStyle::hermes), "x<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b"},
      {tools(ToolStyle::hermes), "x <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_c"},
      {tools(ToolStyle::llama3),
       " {\"name\": \"f\", \"parameters\": {\"q\": \"a\"}}; {\"type\": "
       "\"function\", \"name\": \"g\", \"parameters\": {}}"},
      {tools(ToolStyle::llama3), "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"q\": 1}}"},
      {tools(ToolStyle::llama3), "{\"city\": \"Paris\", \"name\": \"x\"} ; and more"},
      {tools(ToolStyle::llama3), "I call {\"name\": \"f\", \"parameters\": {}} ; so"},
      {tools(ToolStyle::mistral),
       "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}, "
       "\"id\": \"abcdefghi\"}, {\"name\": \"g\", \"arguments\": "
       "{}}] after"},
      {tools(ToolStyle::mistral),
       "Hm. [TOOL_CALLS]f[ARGS]{\"a\": {\"b\": []}}[TOOL_CALLS]g"
       "[CALL_ID]abcdefghi[ARGS]{}"},
      {tools(ToolStyle::mistral), "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}, oops]"},
      {tools(ToolStyle::deepseek), kDeepseekV3},
      {tools(ToolStyle::deepseek),
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": "
       "2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"},
      {tools(ToolStyle::deepseek), "<｜tool▁calls▁begin｜> nothing <｜tool▁call"},
      {tools(ToolStyle::generic),
       "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}"
       "</tool_call>"},
  };
  return all;
}

TEST(OutputParser, splits_reasoning_from_the_answer) {
  const auto whole = parse(kThinking, {"<think>\nFirst, add.\n\n</think>\n\nIt is 4."});
  EXPECT_EQ(whole.reasoning, "First, add.");
  EXPECT_EQ(whole.content, "It is 4.");
}

TEST(OutputParser, begins_in_reasoning_if_the_prompt_opened_it) {
  const auto whole = parse(kOpened, {"First, ", "add.\n</thi", "nk>\n4"});
  EXPECT_EQ(whole.reasoning, "First, add.");
  EXPECT_EQ(whole.content, "4");
  const auto cut = parse(kOpened, {"Still thinking\n"});
  EXPECT_EQ(cut.reasoning, "Still thinking");
  EXPECT_EQ(cut.content, "");
}

TEST(OutputParser, gives_no_reasoning_for_empty_tags) {
  const auto whole = parse(kThinking, {"<think>\n\n</think>\n\nHello"});
  EXPECT_EQ(whole.reasoning, "");
  EXPECT_EQ(whole.content, "Hello");
}

TEST(OutputParser, takes_think_tags_inside_an_answer_as_text) {
  EXPECT_EQ(parse(kThinking, {"Use <think> here."}).content, "Use <think> here.");
  EXPECT_EQ(parse(tools(ToolStyle::none), {"<think>a</think>"}).content, "<think>a</think>");
}

TEST(OutputParser, reads_several_hermes_calls_with_text_around) {
  const auto whole = parse(ToolStyle::hermes, samples()[3].second);
  EXPECT_EQ(whole.content, "I look. Done.");
  expect_call(whole, 0, "weather",
              "{\"city\": \"Tromsø \\\"x\\\" {[\", \"n\": [1, -2.5e3, true, null]}");
  expect_call(whole, 1, "g", "{\"a\": 1}");
  EXPECT_NE(whole.calls.at(0).id, whole.calls.at(1).id);
}

TEST(OutputParser, reads_llama3_calls) {
  const auto list = parse(ToolStyle::llama3, samples()[7].second);
  EXPECT_EQ(list.content, "");
  expect_call(list, 0, "f", "{\"q\": \"a\"}");
  expect_call(list, 1, "g", "{}");
  expect_call(parse(ToolStyle::llama3, samples()[8].second), 0, "f", "{\"q\": 1}");
  const auto json = parse(ToolStyle::llama3, samples()[9].second);
  EXPECT_EQ(json.content, samples()[9].second) << "a JSON answer is no call";
  const auto inside = parse(ToolStyle::llama3, samples()[10].second);
  expect_call(inside, 0, "f", "{}");
  EXPECT_EQ(inside.content, "I call ; so");
}

TEST(OutputParser, reads_both_mistral_forms) {
  const auto array = parse(ToolStyle::mistral, samples()[11].second);
  expect_call(array, 0, "f", "{\"a\": 1}");
  expect_call(array, 1, "g", "{}");
  EXPECT_EQ(array.content, " after");
  const auto direct = parse(ToolStyle::mistral, samples()[12].second);
  expect_call(direct, 0, "f", "{\"a\": {\"b\": []}}");
  expect_call(direct, 1, "g", "{}");
  EXPECT_EQ(direct.content, "Hm.");
}

TEST(OutputParser, reads_both_deepseek_forms) {
  const auto v3 = parse(ToolStyle::deepseek, kDeepseekV3);
  EXPECT_EQ(v3.content, "Looking.");
  expect_call(v3, 0, "weather", "{\"city\": \"Oslo\"}");
  expect_call(v3, 1, "time", "{}");
  expect_call(parse(ToolStyle::deepseek, samples()[15].second), 0, "f", "{\"a\": 2}");
}

TEST(OutputParser, gives_malformed_calls_as_content) {
  for (const std::string text :
       {"<tool_call>not JSON</tool_call>", "<tool_call>{\"name\": 3}</tool_call>",
        "<tool_call>{\"name\": \"bad name\", \"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>",
        "<tool_call>{\"arguments\": {}}</tool_call>", "<tool_call>{\"name\": \"f\"",
        "before <tool_call"}) {
    const auto whole = parse(ToolStyle::hermes, text);
    EXPECT_TRUE(whole.calls.empty()) << text;
    EXPECT_EQ(whole.content, text);
  }
  for (const std::string text : {"[TOOL_CALLS] none", "[TOOL_CALLS]f(x)"}) {
    EXPECT_EQ(parse(ToolStyle::mistral, text).content, text);
  }
  const auto found =
      parse(ToolStyle::hermes, "<tool_call>x <tool_call>{\"name\": \"f\", \"arguments\": {}}");
  EXPECT_EQ(found.content, "<tool_call>x");
  expect_call(found, 0, "f", "{}");
}

TEST(OutputParser, loses_nothing_where_arguments_break_off) {
  const auto whole = parse(ToolStyle::hermes, samples()[4].second);
  ASSERT_EQ(whole.calls.size(), 1U);
  EXPECT_EQ(whole.calls.at(0).arguments, "{\"a\":");
  EXPECT_EQ(whole.content, "a <tool_call> b}}</tool_call> c");
}

TEST(OutputParser, takes_tool_syntax_as_text_if_tools_are_not_allowed) {
  const auto text = samples()[3].second;
  const auto whole = parse(tools(ToolStyle::hermes), {text}, false);
  EXPECT_EQ(whole.content, text);
  EXPECT_TRUE(whole.calls.empty());
}

TEST(OutputParser, streams_arguments_before_they_are_complete) {
  OutputParser parser(tools(ToolStyle::hermes), true, "s");
  Whole whole;
  add(whole, parser.feed("<tool_call>{\"name\": \"f\", \"arguments\": {\"te"));
  EXPECT_EQ(whole.calls.at(0).arguments, "{\"te");
  add(whole, parser.feed("xt\": \"a\nb"));
  EXPECT_EQ(whole.calls.at(0).arguments, "{\"text\": \"a\\nb");
}

TEST(OutputParser, makes_the_same_ids_from_the_same_seed) {
  const auto first = parse(ToolStyle::hermes, samples()[3].second);
  EXPECT_EQ(first, parse(ToolStyle::hermes, samples()[3].second));
  const auto& id = first.calls.at(0).id;
  EXPECT_EQ(id.size(), 5U + 24U);
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789", 5), std::string::npos);
  OutputParser other(tools(ToolStyle::hermes), true, "other");
  Whole whole;
  add(whole, other.feed(samples()[3].second));
  EXPECT_NE(whole.calls.at(0).id, id);
}

TEST(OutputParser, does_not_depend_on_how_the_text_was_cut) {
  std::mt19937 random(7);
  for (const auto& [style, text] : samples()) {
    const auto expected = parse(style, {text});
    std::vector<std::string> bytes;
    for (const char c : text) bytes.emplace_back(1, c);
    EXPECT_EQ(parse(style, bytes), expected) << text;
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      ASSERT_EQ(parse(style, {text.substr(0, cut), text.substr(cut)}), expected) << cut << text;
    }
    for (int round = 0; round < 50; ++round) {
      std::vector<std::string> pieces;
      for (std::size_t at = 0; at < text.size();) {
        pieces.push_back(text.substr(at, 1 + random() % 9));
        at += pieces.back().size();
      }
      ASSERT_EQ(parse(style, pieces), expected) << text;
    }
  }
}

TEST(OutputParser, does_not_depend_on_cuts_for_damaged_text) {
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    auto [style, text] = samples()[random() % samples().size()];
    const auto& other = samples()[random() % samples().size()].second;
    text.insert(random() % (text.size() + 1), other.substr(random() % other.size(), random() % 30));
    text.erase(random() % text.size(), random() % 6);
    const auto expected = parse(style, {text});
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size();) {
      pieces.push_back(text.substr(at, 1 + random() % 5));
      at += pieces.back().size();
    }
    ASSERT_EQ(parse(style, pieces), expected) << text;
  }
}

TEST(OutputParser, stays_linear_on_long_heads) {
  std::string text = "<tool_call>{\"arguments\": {\"a\": \"" + std::string(400'000, 'x');
  OutputParser parser(tools(ToolStyle::hermes), true, "s");
  Whole whole;
  for (std::size_t at = 0; at < text.size(); at += 4) add(whole, parser.feed(text.substr(at, 4)));
  add(whole, parser.finish());
  EXPECT_EQ(whole.content, text);
  EXPECT_EQ(whole.content, parse(ToolStyle::hermes, text).content);
}

TEST(DetectStyle, knows_the_styles_by_their_markers) {
  const auto style = [](std::string_view source) { return detect_style(source).tools; };
  EXPECT_EQ(style(""), ToolStyle::none);
  EXPECT_EQ(style("{% for m in messages %}{{ m.content }}{% endfor %}"), ToolStyle::generic);
  EXPECT_EQ(style("{% if tools %}<tool_call>{% endif %}"), ToolStyle::hermes);
  EXPECT_EQ(style("{% if tools %}<|python_tag|>{% endif %}"), ToolStyle::llama3);
  EXPECT_EQ(style("{% if tools %}[TOOL_CALLS]{% endif %}"), ToolStyle::mistral);
  EXPECT_EQ(style("{{ m.tool_calls }}<｜tool▁call▁begin｜>"), ToolStyle::deepseek);
  EXPECT_EQ(detect_style("a</think>b").reasoning, ReasoningStyle::think_tags);
  EXPECT_EQ(detect_style("ab").reasoning, ReasoningStyle::none);
}

TEST(DetectStyle, sees_a_prompt_that_ends_in_reasoning) {
  EXPECT_TRUE(ends_in_reasoning("<|im_start|>assistant\n<think>\n"));
  EXPECT_FALSE(ends_in_reasoning("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
  EXPECT_FALSE(ends_in_reasoning("assistant\n"));
  EXPECT_FALSE(ends_in_reasoning(""));
}

TEST(JsonScanner, agrees_with_a_full_parser) {
  const std::vector<std::string> seeds = {
      R"({"a": [1, -0.5e+7, true, false, null, "x\"A\\"], "b": {}})",
      "[]",
      "[[0],{}]",
      R"({"k":"v","n":-10})",
      "\"text\"",
      "[1 , 2]",
      "{\"a\":{\"b\":[{}]}}"};
  std::mt19937 random(3);
  const std::string alphabet = "{}[]\",:0123456789.eE+-truefalsn \\u";
  int agreed_good = 0;
  for (int round = 0; round < 40'000; ++round) {
    auto text = seeds[random() % seeds.size()];
    for (auto edits = random() % 3; edits > 0; --edits) {
      text[random() % text.size()] = alphabet[random() % alphabet.size()];
    }
    if (text.front() != '{') continue;
    const bool good = nlohmann::json::accept(text);
    // A lone surrogate escape is refused by the other parser only.
    if (text.contains("\\u")) continue;
    ASSERT_EQ(is_json_object(text), good) << text;
    agreed_good += good ? 1 : 0;
  }
  EXPECT_GT(agreed_good, 1000);
}

TEST(JsonScanner, reads_strings_and_writes_them) {
  EXPECT_EQ(json_string_text(R"("a\né😀\"")"), "a\né😀\"");
  EXPECT_EQ(json_string_text(R"("\u12")"), std::nullopt);
  for (const std::string text : {"plain", "q\"\\/\n\t\x01", "é"}) {
    EXPECT_EQ(json_string_text(json_quoted(text)), text);
    EXPECT_EQ(nlohmann::json::parse(json_quoted(text)).get<std::string>(), text);
  }
}

}  // namespace
}  // namespace hf::chat
