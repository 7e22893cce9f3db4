#include <algorithm>
#include <array>
#include <random>
#include <regex>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "grammar/test_vocabulary.hpp"

namespace hf::grammar {
namespace {

using Json = nlohmann::json;

const std::vector<std::string>& word_pieces() {
  static const std::vector<std::string> pieces = {
      "{\"",    "\":",      "\": ",     "\",",   "\", \"", "},",    "\"}", "]}",  "[]", "null",
      "true",   "false",    "name",     "\":\"", "\\n",    "\\u00", "12",  "3.5", " a", "\xC3",
      "\xA9\"", "\xF0\x9F", "\x98\x80", "]",     "aa",     "",      "}]}", "1,"};
  return pieces;
}

/// A small validator for the keywords used below, written apart from the compiler.
bool valid(const Json& schema, const Json& value, const Json& root) {
  if (schema.is_boolean()) return schema.get<bool>();
  if (schema.contains("$ref")) {
    return valid(root.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1))), value,
                 root);
  }
  const auto any = [&](const char* key) {
    return std::ranges::any_of(schema[key],
                               [&](const Json& part) { return valid(part, value, root); });
  };
  if (schema.contains("anyOf") && !any("anyOf")) return false;
  for (const auto& part : schema.value("allOf", Json::array())) {
    if (!valid(part, value, root)) return false;
  }
  if (schema.contains("enum") && std::ranges::count(schema["enum"], value) == 0) return false;
  if (schema.contains("type")) {
    const auto types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    const bool fits = std::ranges::any_of(types, [&value](const Json& type) {
      return (type == "null" && value.is_null()) || (type == "boolean" && value.is_boolean()) ||
             (type == "integer" && value.is_number_integer()) ||
             (type == "number" && value.is_number()) || (type == "string" && value.is_string()) ||
             (type == "array" && value.is_array()) || (type == "object" && value.is_object());
    });
    if (!fits) return false;
  }
  if (value.is_number()) {
    if (schema.contains("minimum") && value < schema["minimum"]) return false;
    if (schema.contains("maximum") && value > schema["maximum"]) return false;
    if (schema.contains("exclusiveMinimum") && value <= schema["exclusiveMinimum"]) return false;
    if (schema.contains("exclusiveMaximum") && value >= schema["exclusiveMaximum"]) return false;
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const auto length = std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; });
    if (length < schema.value("minLength", 0) || length > schema.value("maxLength", 1 << 30))
      return false;
    if (schema.contains("pattern") &&
        !std::regex_search(text, std::regex(schema["pattern"].get<std::string>())))
      return false;
  }
  if (value.is_array()) {
    if (value.size() < schema.value("minItems", 0U) ||
        value.size() > schema.value("maxItems", 1U << 30U))
      return false;
    const auto prefix = schema.value("prefixItems", Json::array());
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto& part = i < prefix.size()          ? prefix[i]
                         : schema.contains("items") ? schema["items"]
                                                    : Json(true);
      if (!valid(part, value[i], root)) return false;
    }
  }
  if (value.is_object()) {
    for (const auto& key : schema.value("required", Json::array())) {
      if (!value.contains(key.get<std::string>())) return false;
    }
    for (const auto& [key, member] : value.items()) {
      const bool named = schema.contains("properties") && schema["properties"].contains(key);
      const auto part =
          named ? schema["properties"][key] : schema.value("additionalProperties", Json(true));
      if (!valid(part, member, root)) return false;
    }
  }
  return true;
}

constexpr std::array kSchemas = {
    R"({"type":"object"})",
    R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},)"
    R"("age":{"type":"integer","minimum":0,"maximum":150}},"required":["name","age"],)"
    R"("additionalProperties":false})",
    R"({"type":"object","properties":{"a":{"type":"null"},"ab":{"type":"boolean"},)"
    R"("b":{"type":"number","minimum":-1.5,"maximum":2.25}},)"
    R"("additionalProperties":{"type":"integer"}})",
    R"({"type":"array","items":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},"minItems":1,"maxItems":4})",
    R"({"type":"array","prefixItems":[{"type":"string","pattern":"^[a-c]+$"},{"enum":["x",2,)"
    R"(null]}],"items":{"type":"boolean"},"maxItems":5})",
    R"({"anyOf":[{"type":"string","minLength":2,"maxLength":4},{"type":"integer","minimum":-77,)"
    R"("maximum":1234},{"type":"null"}]})",
    R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},)"
    R"({"properties":{"a":{"minimum":5,"maximum":17},"b":{"enum":[true]}}}]})",
    R"({"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},)"
    R"("next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"]}},)"
    R"("$ref":"#/$defs/n"})",
    R"({"type":["string","array"],"items":{"type":"string","pattern":"b\"?"},"minLength":1})",
    R"({"type":"number","minimum":-0.125,"maximum":1000})",
    R"({"type":"number","exclusiveMaximum":6})",
};

struct Walk {
  std::string text;
  bool complete = false;
};

/// Picks at random from the mask; after a while ends as soon as it may.
Walk random_walk(const std::shared_ptr<const Grammar>& grammar, const TokenTable& tokens,
                 const std::vector<std::string>& pieces, std::mt19937& random) {
  const auto matcher = make_matcher(grammar, tokens);
  Walk walk;
  for (int step = 0; step < 400; ++step) {
    const auto mask = matcher->mask();
    std::vector<Token> allowed;
    for (Token token = 0; static_cast<std::size_t>(token) < tokens.vocabulary(); ++token) {
      if (bit(mask, token)) allowed.push_back(token);
    }
    EXPECT_EQ(bit(mask, kEndToken), matcher->can_end());
    if (allowed.empty()) return walk;
    for (int i = 0; i < 8; ++i) {
      const auto token = static_cast<Token>(random() % tokens.vocabulary());
      EXPECT_EQ(matcher->allows(token), bit(mask, token)) << token << " after " << walk.text;
    }
    auto token = allowed[random() % allowed.size()];
    if (step > 20) {  // Prefer what closes: the end, quotes, brackets.
      for (const Token closing :
           {Token{kEndToken}, Token{'}'}, Token{']'}, Token{'"'}, Token{','}}) {
        if (bit(mask, closing) && random() % 4 != 0) {
          token = closing;
          break;
        }
      }
    }
    EXPECT_TRUE(matcher->accept(token));
    if (token == kEndToken) {
      EXPECT_TRUE(matcher->must_end());
      walk.complete = true;
      return walk;
    }
    walk.text += pieces[static_cast<std::size_t>(token)];
  }
  return walk;
}

std::vector<std::string> all_pieces() {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  pieces.resize(258);
  pieces.insert(pieces.end(), word_pieces().begin(), word_pieces().end());
  return pieces;
}

TEST(Matcher, walks_by_mask_always_give_valid_documents) {
  std::mt19937 random(11);
  const auto tokens = byte_vocabulary(word_pieces());
  const auto pieces = all_pieces();
  for (const auto* text : kSchemas) {
    const auto grammar = compile_text(wire::GrammarKind::json_schema, text);
    ASSERT_TRUE(grammar) << error_of(grammar);
    const auto schema = Json::parse(text);
    int complete = 0;
    for (int round = 0; round < 60; ++round) {
      const auto walk = random_walk(*grammar, tokens, pieces, random);
      if (!walk.complete) continue;
      ++complete;
      const auto value = Json::parse(walk.text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << walk.text;
      ASSERT_TRUE(valid(schema, value, schema)) << text << "\n" << walk.text;
    }
    EXPECT_GT(complete, 20) << text;
  }
}

TEST(Matcher, walks_over_a_poor_vocabulary_stay_within_the_grammar) {
  std::mt19937 random(5);
  std::vector<std::string> pieces(258);
  for (const char c : std::string_view("{}[]\":,nulltruefase0123456789.-x"))
    pieces[static_cast<std::size_t>(c)] = std::string(1, c);
  pieces.insert(pieces.end(), word_pieces().begin(), word_pieces().end());
  const TokenTable tokens(pieces, {kEndToken});
  for (const auto* text : kSchemas) {
    const auto grammar = compile_text(wire::GrammarKind::json_schema, text);
    ASSERT_TRUE(grammar);
    const auto schema = Json::parse(text);
    for (int round = 0; round < 20; ++round) {
      const auto walk = random_walk(*grammar, tokens, pieces, random);
      if (!walk.complete) continue;
      const auto value = Json::parse(walk.text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << walk.text;
      ASSERT_TRUE(valid(schema, value, schema)) << walk.text;
    }
  }
}

TEST(Matcher, refuses_without_moving) {
  const auto grammar = compile_text(wire::GrammarKind::gbnf, "root ::= \"ab\" \"c\"?");
  ASSERT_TRUE(grammar);
  const auto tokens = byte_vocabulary({"ab", "abd"});
  const auto matcher = make_matcher(*grammar, tokens);
  EXPECT_FALSE(matcher->accept(259));
  EXPECT_FALSE(matcher->accept(kEndToken));
  EXPECT_FALSE(matcher->accept(257));
  EXPECT_FALSE(matcher->accept(-1));
  EXPECT_FALSE(matcher->accept(100'000));
  EXPECT_FALSE(matcher->accept_bytes("ax"));
  EXPECT_FALSE(matcher->allows(kEndToken));
  EXPECT_TRUE(matcher->accept(258));
  EXPECT_TRUE(matcher->can_end());
  EXPECT_FALSE(matcher->must_end());
  EXPECT_TRUE(matcher->accept('c'));
  EXPECT_TRUE(matcher->must_end());
  EXPECT_FALSE(matcher->accept('c'));
  EXPECT_TRUE(matcher->accept(kEndToken));
  EXPECT_FALSE(matcher->accept_bytes("c"));
  EXPECT_TRUE(bit(matcher->mask(), kEndToken));
}

TEST(Matcher, clones_go_their_own_way) {
  const auto grammar = compile_text(wire::GrammarKind::gbnf, "root ::= \"a\" (\"b\" | \"c\" root)");
  ASSERT_TRUE(grammar);
  const auto tokens = byte_vocabulary();
  const auto first = make_matcher(*grammar, tokens);
  ASSERT_TRUE(first->accept('a'));
  const auto second = first->clone();
  ASSERT_TRUE(first->accept('b'));
  EXPECT_TRUE(first->must_end());
  EXPECT_FALSE(second->can_end());
  EXPECT_TRUE(second->accept_bytes("cab"));
  EXPECT_TRUE(second->must_end());
}

TEST(Matcher, takes_halves_of_characters) {
  const auto grammar =
      compile_text(wire::GrammarKind::json_schema, R"({"type":"string","maxLength":1})");
  ASSERT_TRUE(grammar);
  const auto tokens = byte_vocabulary(word_pieces());
  const auto matcher = make_matcher(*grammar, tokens);
  ASSERT_TRUE(matcher->accept_bytes("\"\xF0\x9F"));
  EXPECT_FALSE(matcher->allows('"'));
  EXPECT_TRUE(matcher->accept_bytes("\x98\x80"));
  EXPECT_FALSE(matcher->allows('a'));
  EXPECT_TRUE(matcher->accept('"'));
}

TEST(Matcher, outlives_full_tables) {
  // Every length is a parse state of its own, so the tables fill and are left behind.
  const auto grammar =
      compile_text(wire::GrammarKind::gbnf, R"(root ::= (("a" | "b"){1000} "c"){1000})");
  ASSERT_TRUE(grammar);
  const auto tokens = byte_vocabulary();
  const auto matcher = make_matcher(*grammar, tokens);
  const auto behind = matcher->clone();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(matcher->accept_bytes(std::string(1000, 'a') + "c"));
  EXPECT_FALSE(matcher->allows('c'));
  EXPECT_TRUE(matcher->allows('b'));
  EXPECT_TRUE(bit(matcher->mask(), 'a'));
  EXPECT_TRUE(behind->accept_bytes(std::string(1000, 'b') + "c"));
}

TEST(Matcher, shares_a_grammar_between_threads) {
  const auto grammar = compile_text(wire::GrammarKind::json_schema, kSchemas[2]);
  ASSERT_TRUE(grammar);
  const auto tokens = byte_vocabulary(word_pieces());
  const auto pieces = all_pieces();
  std::vector<std::jthread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int round = 0; round < 10; ++round) (void)random_walk(*grammar, tokens, pieces, random);
    });
  }
}

}  // namespace
}  // namespace hf::grammar
