// Members are taken by name, checked, or refused by name; in both languages.
#include "api/fields.hpp"

#include <gtest/gtest.h>

namespace hf::api {
namespace {

JsonDocument parsed(std::string text) {
  return *JsonDocument::parse(std::move(text));
}

Fault fault_of(Fields& fields) {
  auto finished = fields.finish();
  EXPECT_FALSE(finished);
  return finished ? Fault(Error{}) : finished.error();
}

TEST(Fields, take_values_of_the_right_kind) {
  const auto document = parsed(R"({"s":"x","b":true,"f":0.5,"i":7,"l":["a","b"],"w":"red"})");
  Fields fields(document.root(), "", Language::english);
  std::string text;
  bool flag = false;
  float number = 0;
  std::int64_t integer = 0;
  std::vector<std::string> list;
  fields.text("s", text);
  fields.flag("b", flag);
  fields.number("f", 0, 1, number);
  fields.integer("i", 0, 9, integer);
  fields.texts("l", list);
  const auto word = fields.word("w", {"red", "blue"});
  EXPECT_TRUE(fields.finish());
  EXPECT_EQ(text, "x");
  EXPECT_TRUE(flag);
  EXPECT_FLOAT_EQ(number, 0.5F);
  EXPECT_EQ(integer, 7);
  EXPECT_EQ(list, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(word, "red");
}

TEST(Fields, refuse_what_nobody_took) {
  const auto document = parsed(R"({"a":1,"b":2})");
  Fields fields(document.root(), "tools[0]", Language::english);
  fields.accept({"a"});
  const auto fault = fault_of(fields);
  EXPECT_EQ(fault.error.param, "tools[0].b");
  EXPECT_EQ(fault.code, "unknown_parameter");
  EXPECT_EQ(fault.error.message, "Unrecognized request argument supplied: tools[0].b");
}

TEST(Fields, count_null_as_absent) {
  const auto document = parsed(R"({"a":null,"b":null})");
  Fields fields(document.root(), "", Language::english);
  std::string text = "kept";
  fields.text("a", text);
  EXPECT_FALSE(fields.has("a"));
  EXPECT_TRUE(fields.finish());
  EXPECT_EQ(text, "kept");
}

TEST(Fields, keep_the_first_fault) {
  const auto document = parsed(R"({"a":1,"b":"x"})");
  Fields fields(document.root(), "", Language::english);
  std::string text;
  fields.text("a", text);
  std::int64_t number = 3;
  fields.integer("b", 0, 9, number);
  EXPECT_FALSE(fields.good());
  const auto fault = fault_of(fields);
  EXPECT_EQ(fault.error.param, "a");
  EXPECT_EQ(fault.code, "invalid_type");
  EXPECT_EQ(number, 3);
}

TEST(Fields, name_range_and_value) {
  const auto document = parsed(R"({"a":2.5})");
  Fields english(document.root(), "", Language::english);
  float value = 0;
  english.number("a", 0, 2, value);
  EXPECT_EQ(fault_of(english).error.message, "'a' is 2.5, but must be from 0 to 2.");
  Fields chinese(document.root(), "", Language::chinese);
  chinese.number("a", 0, 2, value);
  EXPECT_EQ(fault_of(chinese).error.message, "'a' 为 2.5，必须在 0 到 2 之间。");
}

TEST(Fields, take_one_value_only_where_another_cannot_be_served) {
  const auto document = parsed(R"({"store":true,"audio":{}})");
  Fields store(document.root(), "", Language::english);
  store.only("store", "false");
  EXPECT_EQ(fault_of(store).code, "unsupported_value");
  Fields audio(document.root(), "", Language::english);
  audio.unsupported({"audio"});
  EXPECT_EQ(fault_of(audio).code, "unsupported_parameter");
}

TEST(Fields, pass_inner_faults_on) {
  const auto document = parsed(R"({"o":{"x":1}})");
  Fields outer(document.root(), "", Language::english);
  Fields inner(outer.take("o"), outer.path("o"), Language::english);
  outer.merge(inner);
  EXPECT_EQ(fault_of(outer).error.param, "o.x");
}

TEST(Fields, want_an_object) {
  const auto document = parsed("[1]");
  Fields fields(document.root(), "", Language::english);
  fields.accept({"a"});
  EXPECT_EQ(fault_of(fields).code, "invalid_type");
}

TEST(Fields, cut_long_names_in_messages) {
  const auto document = parsed("{\"" + std::string(5000, 'x') + "\":1}");
  Fields fields(document.root(), "", Language::english);
  EXPECT_LT(fault_of(fields).error.message.size(), 200U);
}

TEST(Texts, choose_a_language) {
  EXPECT_EQ(preferred_language(""), Language::english);
  EXPECT_EQ(preferred_language("zh"), Language::chinese);
  EXPECT_EQ(preferred_language("zh-CN,zh;q=0.9,en;q=0.8"), Language::chinese);
  EXPECT_EQ(preferred_language("en-US,en;q=0.9,zh;q=0.8"), Language::english);
  EXPECT_EQ(preferred_language("fr, zh;q=0.5"), Language::chinese);
  EXPECT_EQ(preferred_language("zh;q=0"), Language::english);
}

TEST(Texts, have_the_same_arguments_in_both_languages) {
  for (std::size_t i = 0; i <= static_cast<std::size_t>(kLastText); ++i) {
    const auto id = static_cast<TextId>(i);
    for (const auto* place : {"{0}", "{1}", "{2}", "{3}"}) {
      EXPECT_EQ(pattern(Language::english, id).contains(place),
                pattern(Language::chinese, id).contains(place))
          << pattern(Language::english, id);
    }
  }
}

TEST(Faults, map_to_openais_status_and_type) {
  const auto full = fault_response(Error{Errc::resource_exhausted, "Busy."}, 7);
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(full.headers.at(0), (std::pair<std::string, std::string>("retry-after", "7")));
  EXPECT_EQ(fault_json(refuse("n", "Bad \"n\".", "invalid_value").error()),
            R"({"error":{"message":"Bad \"n\".","type":"invalid_request_error","param":"n",)"
            R"("code":"invalid_value"}})");
  EXPECT_EQ(
      fault_json(Error{Errc::invalid_argument, "Bad.", "detail"}),
      R"({"error":{"message":"Bad.","type":"invalid_request_error","param":null,"code":null}})");
}

}  // namespace
}  // namespace hf::api
