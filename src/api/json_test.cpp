// The JSON tree and the writer: RFC 8259 and nothing beyond it, with a place for each fault.
#include "api/json.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "api/json_writer.hpp"

namespace hf::api {
namespace {

JsonDocument parsed(std::string text) {
  auto document = JsonDocument::parse(text);
  EXPECT_TRUE(document) << text;
  return *std::move(document);
}

JsonTrouble trouble(std::string text, const JsonLimits& limits = {}) {
  const auto document = JsonDocument::parse(text, limits);
  EXPECT_FALSE(document) << text;
  return document ? JsonTrouble::unexpected : document.error().trouble;
}

TEST(Json, reads_every_kind) {
  const auto document =
      parsed(R"( {"n":null,"t":true,"f":false,"i":-12,"d":1.5e3,"s":"a","l":[1,2],"o":{"x":{}}} )");
  const auto root = document.root();
  EXPECT_EQ(root.size(), 8U);
  EXPECT_TRUE(root["n"].is(JsonKind::null));
  EXPECT_TRUE(root["t"].truth());
  EXPECT_FALSE(root["f"].truth());
  EXPECT_EQ(root["i"].integer(), -12);
  EXPECT_EQ(root["d"].integer(), 1500);
  EXPECT_EQ(root["s"].text(), "a");
  EXPECT_EQ(root["l"].size(), 2U);
  EXPECT_EQ(root["l"].raw(), "[1,2]");
  EXPECT_TRUE(root["o"]["x"].is(JsonKind::object));
  EXPECT_FALSE(root["nothing"]);
  EXPECT_FALSE(root["s"]["x"]);
}

TEST(Json, keeps_order_and_bytes) {
  const auto document = parsed("{\"b\": [ 1 , {\"x\" :2} ],\n\"a\":\"\\u00e9\"}");
  std::string keys;
  for (const auto member : document.root()) keys += member.key();
  EXPECT_EQ(keys, "ba");
  EXPECT_EQ(document.root()["b"].raw(), "[ 1 , {\"x\" :2} ]");
  EXPECT_EQ(document.root()["a"].raw(), "\"\\u00e9\"");
  EXPECT_EQ(document.root()["a"].text(), "é");
}

TEST(Json, stays_valid_when_moved) {
  auto first = parsed(R"({"a":"\n long enough not to be stored inside the string object itself"})");
  const auto second = std::move(first);
  EXPECT_TRUE(second.root()["a"].text().starts_with("\n long"));
}

TEST(Json, decodes_escapes) {
  const auto document = parsed(R"(["\"\\\/\b\f\n\r\t","\u0041","\uD83D\uDE42","\u4f60"])");
  std::vector<std::string> texts;
  for (const auto item : document.root()) texts.emplace_back(item.text());
  EXPECT_EQ(texts, (std::vector<std::string>{"\"\\/\b\f\n\r\t", "A", "🙂", "你"}));
}

TEST(Json, refuses_what_the_standard_does) {
  for (const auto* text : {"+1", "'a'", "{a:1}", "trux", "[1 2]", "NaN", ".5", "[1,]", "{\"a\":1,}",
                           "// x", "{\"a\" 1}", "{1:2}"}) {
    EXPECT_EQ(trouble(text), JsonTrouble::unexpected) << text;
  }
  for (const auto* text : {"", "[", "[1", "{", "{\"a\"", "{\"a\":", "\"abc", " "}) {
    EXPECT_EQ(trouble(text), JsonTrouble::ended) << text;
  }
  for (const auto* text : {"01", "1.", "1e", "-", "1.e5"}) {
    EXPECT_EQ(trouble(text), JsonTrouble::bad_number) << text;
  }
  for (const auto* text :
       {R"("\x")", R"("\uD83D")", R"("\uDE42")", R"("\u12G4")", R"("\uD83Dx")"}) {
    EXPECT_EQ(trouble(text), JsonTrouble::bad_escape) << text;
  }
  EXPECT_EQ(trouble("\"a\nb\""), JsonTrouble::raw_control);
  EXPECT_EQ(trouble("1 2"), JsonTrouble::trailing);
  EXPECT_EQ(trouble("\"\xC3\""), JsonTrouble::not_utf8);
  EXPECT_EQ(trouble("\"\xED\xA0\x80\""), JsonTrouble::not_utf8);
}

TEST(Json, refuses_a_key_that_comes_twice) {
  EXPECT_EQ(trouble(R"({"a":1,"a":2})"), JsonTrouble::duplicate_key);
  EXPECT_EQ(trouble(R"({"a":1,"\u0061":2})"), JsonTrouble::duplicate_key);
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_EQ(trouble(many + "\"k7\":1}"), JsonTrouble::duplicate_key);
  parsed(many + "\"k\":1}");
}

TEST(Json, is_bounded) {
  EXPECT_EQ(trouble(std::string(1'000'000, '[')), JsonTrouble::too_deep);
  EXPECT_EQ(trouble("[[[]]]", {.depth_max = 2}), JsonTrouble::too_deep);
  EXPECT_EQ(trouble("[1,2,3,4]", {.values_max = 3}), JsonTrouble::too_many);
}

TEST(Json, says_where_the_fault_is) {
  const auto document = JsonDocument::parse("{\n  \"a\": tru\n}");
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().line, 2U);
  EXPECT_EQ(document.error().column, 11U);
}

TEST(Json, tells_whole_numbers_from_others) {
  const auto document = parsed("[9223372036854775807,1.0,1e3,1.5,1e300,-1e400,1e-400,-0]");
  std::vector<std::optional<std::int64_t>> whole;
  std::vector<double> numbers;
  for (const auto item : document.root()) {
    whole.push_back(item.integer());
    numbers.push_back(item.number());
  }
  EXPECT_EQ(whole[0], std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(whole[1], 1);
  EXPECT_EQ(whole[2], 1000);
  EXPECT_FALSE(whole[3]);
  EXPECT_FALSE(whole[4]);
  EXPECT_FALSE(whole[5]);
  EXPECT_EQ(numbers[5], -HUGE_VAL);
  EXPECT_EQ(numbers[6], 0);
  EXPECT_EQ(whole[7], 0);
}

TEST(JsonWriter, sets_commas_and_escapes) {
  std::string out;
  JsonWriter json(out);
  json.open_object().member("a", 1).member("b", "x\n\"\\\x01").key("c").open_array();
  json.value(true).null().value(1.5).raw("{}").close_array().member_null("d").close_object();
  EXPECT_EQ(out, R"({"a":1,"b":"x\n\"\\\u0001","c":[true,null,1.5,{}],"d":null})");
}

TEST(JsonWriter, always_gives_what_the_reader_takes) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  std::string out;
  append_json_string(out, all);
  const auto document = JsonDocument::parse(out);
  ASSERT_TRUE(document);
  EXPECT_TRUE(document->root().text().starts_with(std::string_view(all).substr(0, 128)));
}

TEST(JsonWriter, has_no_number_for_infinity) {
  std::string out;
  append_json_number(out, std::numeric_limits<double>::infinity());
  append_json_number(out, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(out, "nullnull");
}

}  // namespace
}  // namespace hf::api
