#include <chrono>
#include <format>

#include <gtest/gtest.h>

#include "grammar/test_vocabulary.hpp"

namespace hf::grammar {
namespace {

std::shared_ptr<const Grammar> schema(std::string_view text) {
  auto compiled = compile_text(wire::GrammarKind::json_schema, text);
  EXPECT_TRUE(compiled) << text << ": " << error_of(compiled);
  return compiled.value_or(nullptr);
}

std::string schema_error_of(std::string_view text) {
  return error_of(compile_text(wire::GrammarKind::json_schema, text));
}

void expect_all(std::string_view text, const std::vector<std::string>& good,
                const std::vector<std::string>& bad) {
  const auto grammar = schema(text);
  ASSERT_NE(grammar, nullptr);
  for (const auto& one : good) EXPECT_TRUE(matches(grammar, one)) << text << " should take " << one;
  for (const auto& one : bad)
    EXPECT_FALSE(matches(grammar, one)) << text << " should refuse " << one;
}

TEST(JsonSchema, keeps_keys_in_order_and_required_ones_present) {
  expect_all(
      R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},)"
      R"("c":{"type":"null"}},"required":["b"]})",
      {R"({"b":null})", R"({"a":null,"b":null})", R"({"b": null, "c": null})",
       R"({"a":null,"b":null,"c":null})"},
      {R"({})", R"({"a":null})", R"({"b":null,"a":null})", R"({"b":null,})", R"({,"b":null})",
       R"({"b":null,"d":null})", R"({ "b":null})", R"({"b":  null})", "{\"b\":\nnull}"});
  expect_all(R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}}})",
             {"{}", R"({"a":null})", R"({"b":null})", R"({"a":null,"b":null})"},
             {R"({"b":null,"b":null})"});
}

TEST(JsonSchema, keeps_further_keys_apart_from_declared_ones) {
  expect_all(
      R"({"type":"object","properties":{"ab":{"type":"null"},"a\"b":true},"additionalProperties":{"type":"integer"}})",
      {R"({"ab":null,"a":1,"abc":2,"":3,"é":4})", R"({"x":1})", R"({"ab":null})"},
      {R"({"ab":1})", R"({"ab":null,"ab":1})", R"({"\u0061b":1})", R"({"x":null})"});
  expect_all(R"({"type":"object","properties":{},"additionalProperties":false})", {"{}"},
             {R"({"a":1})"});
  expect_all(R"({"type":"object","properties":{"a":false,"b":true}})", {R"({"b":[1]})"},
             {R"({"a":1})"});
  expect_all(R"({"type":"object","required":["k"]})", {R"({"k":{"z":[]}})"}, {"{}"});
}

TEST(JsonSchema, takes_any_object) {
  const auto any = compile({.kind = wire::GrammarKind::json_object});
  ASSERT_TRUE(any);
  EXPECT_TRUE(
      matches(*any, R"({"a": [1, -2.5e+10, true, null, {"b": "\u00e9\ud83d\ude00\n"}], "": ""})"));
  for (const auto* bad : {"[]", "1", R"({"a":01})", R"({"a":"\ud83d"})", R"({"a":"\x"})",
                          "{\"a\":\"\n\"}", "{\"a\":\"\xFF\"}"}) {
    EXPECT_FALSE(matches(*any, bad)) << bad;
  }
}

TEST(JsonSchema, knows_arrays) {
  expect_all(R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3})",
             {"[1,2]", "[1, 2, 3]"}, {"[]", "[1]", "[1,2,3,4]", "[1,\"a\"]"});
  expect_all(R"({"type":"array","items":{"type":"null"}})", {"[]", "[null]", "[null,null,null]"},
             {"[null,]", "[,null]"});
  expect_all(R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"});
  expect_all(R"({"type":"array","prefixItems":[{"type":"null"},{"type":"boolean"}]})",
             {"[null,true]"}, {"[]", "[null]", "[null,true,1]", "[true,null]"});
  expect_all(
      R"({"prefixItems":[{"type":"null"},{"type":"boolean"}],"items":{"type":"integer"},"minItems":1,"maxItems":4})",
      {"[null]", "[null,true]", "[null,true,1,2]"}, {"[]", "[null,1]", "[null,true,1,2,3]"});
  expect_all(R"({"type":"array","items":[{"type":"null"}],"additionalItems":false})", {"[null]"},
             {"[null,1]"});
}

TEST(JsonSchema, knows_strings) {
  expect_all(R"({"type":"string","minLength":2,"maxLength":3})",
             {R"("ab")", R"("é中😀")", R"("\n\u00e9")"}, {R"("a")", R"("abcd")", R"(ab)"});
  expect_all(R"({"type":"string","pattern":"^[a-z]+\"\\\\\\d$"})", {R"("ab\"\\7")"},
             {R"("ab"\7")", R"("ab\"\\")"});
  expect_all(R"({"pattern":"b"})", {R"("abc")", R"("b")", R"("\nb\"")"}, {R"("ac")"});
  expect_all(R"({"type":"string","pattern":"^[^x]$"})", {R"("\"")", R"("\n")", R"("é")"},
             {R"("x")", R"(""")"});
  expect_all(R"({"type":"string","pattern":"^\\s$"})", {R"("\t")", R"(" ")"}, {"\"\t\""});
}

TEST(JsonSchema, knows_formats) {
  expect_all(R"({"type":"string","format":"date"})",
             {R"("2024-02-29")", R"("2000-02-29")", R"("2023-12-31")"},
             {R"("2023-02-29")", R"("1900-02-29")", R"("2023-04-31")", R"("2023-13-01")"});
  expect_all(R"({"type":"string","format":"date-time"})",
             {R"("2023-01-02T23:59:59Z")", R"("2023-01-02T03:04:05.678+01:00")"},
             {R"("2023-01-02")", R"("2023-01-02T24:00:00Z")"});
  expect_all(R"({"type":"string","format":"time"})", {R"("00:00:00Z")"}, {R"("00:00")"});
  expect_all(R"({"type":"string","format":"uuid"})", {R"("123e4567-e89b-12d3-a456-426614174000")"},
             {R"("123e4567")"});
  expect_all(R"({"type":"string","format":"email"})", {R"("a.b+c@example.org")"},
             {R"("a@b")", R"("@b.c")"});
  expect_all(R"({"type":"string","format":"ipv4"})", {R"("192.168.0.255")"},
             {R"("256.1.1.1")", R"("1.2.3")"});
  expect_all(R"({"type":"string","format":"uri"})",
             {R"("https://example.org:8080/a/b?c=d#e")", R"("mailto:a@b.c")"},
             {R"("//x")", R"("a b:c")"});
}

TEST(JsonSchema, writes_integers_within_bounds_exactly) {
  const std::vector<std::pair<int, int>> ranges = {{0, 0},    {-5, 5},    {7, 123}, {-123, -7},
                                                   {99, 101}, {-1, 1000}, {10, 99}};
  for (const auto& [low, high] : ranges) {
    const auto grammar =
        schema(std::format(R"({{"type":"integer","minimum":{},"maximum":{}}})", low, high));
    for (int value = -1100; value <= 1100; ++value) {
      ASSERT_EQ(matches(grammar, std::to_string(value)), value >= low && value <= high)
          << low << ".." << high << " " << value;
    }
    for (const auto* bad : {"-0", "00", "01", "-01", "", "1.0", "+1"})
      EXPECT_FALSE(matches(grammar, bad)) << bad;
  }
  expect_all(R"({"type":"integer","exclusiveMinimum":1.5,"exclusiveMaximum":4})", {"2", "3"},
             {"1", "4"});
  expect_all(R"({"type":"integer","minimum":1,"exclusiveMinimum":true})", {"2", "1234567890123456"},
             {"1", "0"});
  expect_all(R"({"type":"integer","maximum":0})", {"0", "-1", "-9999999999999999"}, {"1", "-0"});
  expect_all(R"({"type":"integer","minimum":9007199254740993})", {"9007199254740993"},
             {"9007199254740992"});
}

TEST(JsonSchema, writes_numbers_within_bounds) {
  expect_all(R"({"type":"number","minimum":0,"maximum":1})", {"0", "1", "0.5", "1.0", "0.0"},
             {"1.01", "-0.1", "2", "1e5"});
  expect_all(R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})",
             {"0.5", "0.001", "0.99"}, {"0", "1", "0.0", "1.0"});
  expect_all(R"({"type":"number","minimum":-1.25,"maximum":2.5})",
             {"-1.25", "-1.2", "0", "2.5", "2.49", "-0.5"}, {"-1.26", "2.51", "3", "-2", "-1.3"});
  expect_all(R"({"type":"number","minimum":99.5})", {"99.5", "100", "99.51", "123456.75"},
             {"99.4", "99", "-100"});
  expect_all(R"({"type":"number","maximum":-3})", {"-3", "-3.5", "-1000"}, {"-2.9", "3", "0"});
  expect_all(R"({"type":"number"})", {"-1.5e-10", "0", "12"},
             {"01", ".5", "1.", "1e", "--1", "1e999"});
}

TEST(JsonSchema, knows_enum_const_and_type_lists) {
  expect_all(R"({"enum":["a","b\n",1,null,{"k":[1,2]}]})",
             {R"("a")", R"("b\n")", "1", "null", R"({"k":[1,2]})"}, {R"("c")", "2"});
  expect_all(R"({"const":"x"})", {R"("x")"}, {R"("y")"});
  expect_all(R"({"type":"string","enum":["a",1]})", {R"("a")"}, {"1"});
  expect_all(R"({"type":["integer","null"]})", {"1", "null"}, {"\"a\""});
  expect_all(R"({"type":"integer","nullable":true,"minimum":3})", {"3", "null"}, {"2"});
  expect_all("true", {"1", "[]", R"({"a":1})"}, {""});
}

TEST(JsonSchema, knows_unions_and_merges) {
  expect_all(
      R"({"anyOf":[{"type":"null"},{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]}]})",
      {"null", R"({"k":"a"})"}, {"{}"});
  expect_all(R"({"oneOf":[{"const":1},{"const":2}],"type":"integer"})", {"1", "2"}, {"3"});
  expect_all(R"({"allOf":[{"type":"object","properties":{"a":{"type":"number"}},"required":["a"]},
                          {"properties":{"a":{"minimum":5},"b":{"type":"null"}},"required":["b"]}]})",
             {R"({"a":5,"b":null})"}, {R"({"a":4,"b":null})", R"({"a":5})"});
  expect_all(R"({"properties":{"kind":{"type":"string"}},"required":["kind"],
                 "anyOf":[{"properties":{"x":{"type":"null"}},"required":["x"]},
                          {"properties":{"y":{"type":"null"}},"required":["y"]}]})",
             {R"({"kind":"q","x":null})", R"({"kind":"q","y":null})"}, {R"({"kind":"q"})"});
  expect_all(R"({"allOf":[{"enum":[1,2,3]},{"enum":[2,3,4]}]})", {"2", "3"}, {"1", "4"});
  EXPECT_NE(schema_error_of(R"({"allOf":[{"type":"null"},{"type":"string"}]})")
                .find("no value can satisfy"),
            std::string::npos);
}

TEST(JsonSchema, follows_references) {
  const auto* tree = R"({"$defs":{"node/x":{"type":"object","properties":{"v":{"type":"integer"},
    "kids":{"type":"array","items":{"$ref":"#/$defs/node~1x"}}},"required":["v"]}},"$ref":"#/$defs/node~1x"})";
  expect_all(tree, {R"({"v":1,"kids":[{"v":2},{"v":3,"kids":[]}]})"}, {R"({"kids":[]})"});
  expect_all(R"({"type":"array","items":{"$ref":"#"}})", {"[]", "[[],[[]]]"}, {"[1]"});
  expect_all(R"({"definitions":{"n":{"type":"integer"}},"$ref":"#/definitions/n","minimum":4})",
             {"4"}, {"3"});
  expect_all(R"({"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#"}}]})",
             {"null", "[null,[]]"}, {});
}

TEST(JsonSchema, refuses_with_a_pointer) {
  EXPECT_EQ(schema_error_of(
                R"({"type":"object","properties":{"a/b":{"type":"integer","multipleOf":5}}})"),
            "The JSON schema cannot be used at #/properties/a~1b/multipleOf: the keyword "
            "'multipleOf' is not supported; "
            "list the values with enum, or check them afterwards.");
  for (const auto* keyword :
       {"not", "if", "uniqueItems", "contains", "patternProperties", "propertyNames",
        "minProperties", "maxProperties", "dependentRequired", "dependentSchemas",
        "unevaluatedProperties", "$dynamicRef"}) {
    const auto error = schema_error_of(std::format(R"({{"items":[{{"{}":true}}]}})", keyword));
    EXPECT_NE(error.find(std::format("#/items/0/{}", keyword)), std::string::npos) << error;
  }
  EXPECT_NE(schema_error_of(R"({"tpye":"string"})").find("'tpye' is unknown"), std::string::npos);
  EXPECT_NE(schema_error_of(R"({"type":"text"})").find("#/type"), std::string::npos);
  EXPECT_NE(schema_error_of(R"({"$ref":"#/$defs/no"})").find("leads nowhere"), std::string::npos);
  EXPECT_NE(schema_error_of(R"({"$ref":"https://x.org/y"})").find("within the schema"),
            std::string::npos);
  EXPECT_NE(schema_error_of(R"x({"type":"string","pattern":"(?=a)"})x").find("#/pattern"),
            std::string::npos);
  EXPECT_NE(schema_error_of(R"({"type":"string","format":"odd"})").find("#/format"),
            std::string::npos);
  EXPECT_NE(
      schema_error_of(R"({"type":"integer","minimum":5,"maximum":4})").find("no whole number"),
      std::string::npos);
  EXPECT_NE(schema_error_of(R"({"type":"string","minLength":-1})").find("#/minLength"),
            std::string::npos);
  EXPECT_NE(schema_error_of(R"({"type":"string","maxLength":99999})").find("10000"),
            std::string::npos);
  EXPECT_NE(schema_error_of(R"({"type":"array","minItems":3,"maxItems":2})").find("fewer items"),
            std::string::npos);
  EXPECT_NE(schema_error_of(R"({"properties":{"a":false},"required":["a"]})").find("#/required/0"),
            std::string::npos);
  EXPECT_NE(schema_error_of(R"({"type")").find("offset"), std::string::npos);
  EXPECT_NE(schema_error_of("false").find("no value"), std::string::npos);
  EXPECT_NE(schema_error_of("1").find("must be an object"), std::string::npos);
  EXPECT_NE(schema_error_of(R"({"enum":[]})").find("at least one"), std::string::npos);
  EXPECT_NE(schema_error_of(R"({"properties":[]})").find("#/properties"), std::string::npos);
}

TEST(JsonSchema, refuses_references_without_progress) {
  for (const auto* text :
       {R"({"$ref":"#"})", R"({"anyOf":[{"$ref":"#"},{"type":"null"}]})",
        R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})"}) {
    EXPECT_NE(schema_error_of(text).find("leads back to itself"), std::string::npos)
        << schema_error_of(text);
  }
  EXPECT_NE(schema_error_of(R"({"allOf":[{"$ref":"#"}]})").find("refers to itself"),
            std::string::npos);
  EXPECT_NE(schema_error_of(R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})"),
            "");  // Endless.
}

TEST(JsonSchema, bears_hostile_schemas_quickly) {
  const auto start = std::chrono::steady_clock::now();
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += R"({"items":)";
  EXPECT_NE(schema_error_of(deep).find("nested deeper"), std::string::npos);
  std::string unions = R"({"allOf":[)";
  for (int i = 0; i < 60; ++i) {
    unions += std::format(R"({}{{"anyOf":[{{"minLength":{}}},{{"maxLength":{}}}]}})",
                          i == 0 ? "" : ",", i, i + 70);
  }
  EXPECT_NE(schema_error_of(unions + "]}"), "");
  std::string doubling = R"({"$defs":{"d0":{"type":"null"})";
  for (int i = 1; i < 60; ++i) {
    doubling += std::format(
        R"(,"d{0}":{{"allOf":[{{"$ref":"#/$defs/d{1}"}},{{"$ref":"#/$defs/d{1}"}}]}})", i, i - 1);
  }
  EXPECT_NE(schema_error_of(doubling + R"(},"$ref":"#/$defs/d59"})"), "");
  std::string keys;
  for (int i = 0; i < 60'000; ++i) keys += std::format("\"k{}\":1,", i);
  EXPECT_NE(schema_error_of("{\"properties\":{" + keys + "\"z\":1}}").find("members"),
            std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20))
      << "far beyond any slow machine";
}

TEST(JsonSchema, handles_many_optional_keys_without_blow_up) {
  std::string text = R"({"type":"object","properties":{)";
  for (int i = 0; i < 300; ++i)
    text += std::format("{}\"k{}\":{{\"type\":\"null\"}}", i == 0 ? "" : ",", i);
  const auto grammar = schema(text + "}}");
  EXPECT_LT(grammar->to_gbnf().size(), 60'000U);
  EXPECT_TRUE(matches(grammar, R"({"k3":null,"k77":null,"k299":null})"));
  EXPECT_FALSE(matches(grammar, R"({"k77":null,"k3":null})"));
}

TEST(JsonSchema, gives_rules_for_use_in_a_larger_grammar) {
  const auto a = schema_to_gbnf(
      R"({"type":"object","properties":{"x":{"type":"string"}},"required":["x"]})", "args-1");
  const auto b = schema_to_gbnf(R"({"type":"array","items":{"type":"string"}})", "args-2");
  ASSERT_TRUE(a && b);
  const auto whole =
      compile_text(wire::GrammarKind::gbnf, "root ::= \"<a>\" args-1 | \"<b>\" args-2\n" + *a + *b);
  ASSERT_TRUE(whole) << error_of(whole);
  EXPECT_TRUE(matches(*whole, R"(<a>{"x": "y"})"));
  EXPECT_TRUE(matches(*whole, R"(<b>["y"])"));
  EXPECT_FALSE(schema_to_gbnf("{}", "a b"));
}

TEST(Choice, lists_literals) {
  const auto grammar =
      compile({.kind = wire::GrammarKind::choice, .choices = {"yes", "yes!", "no", "a\"\\\n"}});
  ASSERT_TRUE(grammar);
  for (const auto* text : {"yes", "yes!", "no", "a\"\\\n"}) EXPECT_TRUE(matches(*grammar, text));
  EXPECT_FALSE(matches(*grammar, "ye"));
  EXPECT_FALSE(compile({.kind = wire::GrammarKind::choice}));
  EXPECT_FALSE(compile({.kind = wire::GrammarKind::choice, .choices = {"\xFF"}}));
  EXPECT_FALSE(compile({}));
}

}  // namespace
}  // namespace hf::grammar
