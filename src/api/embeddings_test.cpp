#include <gtest/gtest.h>

#include "api/replying_models.hpp"

namespace hf::api {
namespace {

class EmbeddingsTest : public testing::Test {
 protected:
  EmbeddingsTest() {
    api_.models.add("e", {.vocabulary = 100, .embeds = 1, .embedding_width = 2});
    api_.models.add("chat", {.generates = 1});
  }
  [[nodiscard]] HttpResponse ask(std::string body) const {
    return api_.ask("POST", "/v1/embeddings", std::move(body));
  }
  [[nodiscard]] std::string refused(std::string body) const {
    const auto response = ask(std::move(body));
    EXPECT_EQ(response.status, 400) << response.body;
    return Answer(response).at("error.param");
  }
  TestApi api_;
};

TEST_F(EmbeddingsTest, one_text_gives_one_vector) {
  const auto response = ask(R"({"model":"e","input":"hello","user":"u"})");
  ASSERT_EQ(response.status, 200) << response.body;
  const Answer answer(response);
  EXPECT_EQ(answer.at("object"), "list");
  EXPECT_EQ(answer.at("model"), "e");
  EXPECT_EQ(answer.at("data.0.object"), "embedding");
  EXPECT_EQ(answer.at("data.0.embedding"), "[0,0.5]");
  EXPECT_EQ(answer.at("data.1"), "absent");
  EXPECT_EQ(answer.at("usage.prompt_tokens"), "7");
  EXPECT_EQ(answer.at("usage.total_tokens"), "7");
}

TEST_F(EmbeddingsTest, lists_of_texts_and_of_tokens_keep_their_order) {
  const Answer texts(ask(R"({"model":"e","input":["a","b","c"]})"));
  EXPECT_EQ(texts.at("data.2.embedding"), "[2,0.5]");
  EXPECT_EQ(texts.at("data.2.index"), "2");
  EXPECT_EQ(api_.models.embedded.back().texts, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(ask(R"({"model":"e","input":[1,2,99]})").status, 200);
  EXPECT_EQ(api_.models.embedded.back().token_lists,
            (std::vector<std::vector<wire::Token>>{{1, 2, 99}}));
  EXPECT_EQ(ask(R"({"model":"e","input":[[1],[2,3]]})").status, 200);
  EXPECT_EQ(api_.models.embedded.back().token_lists,
            (std::vector<std::vector<wire::Token>>{{1}, {2, 3}}));
}

TEST_F(EmbeddingsTest, base64_is_little_endian_floats) {
  const Answer answer(ask(R"({"model":"e","input":["a","b"],"encoding_format":"base64"})"));
  EXPECT_EQ(answer.at("data.1.embedding"), "AACAPwAAAD8=");  // 1.0f, 0.5f
}

TEST_F(EmbeddingsTest, dimensions_may_be_the_models_own_only) {
  EXPECT_EQ(ask(R"({"model":"e","input":"a","dimensions":2})").status, 200);
  EXPECT_EQ(refused(R"({"model":"e","input":"a","dimensions":1})"), "dimensions");
}

TEST_F(EmbeddingsTest, refuses_what_it_cannot_take_by_name) {
  EXPECT_EQ(refused(R"({"model":"e"})"), "input");
  EXPECT_EQ(refused(R"({"model":"e","input":""})"), "input");
  EXPECT_EQ(refused(R"({"model":"e","input":[]})"), "input");
  EXPECT_EQ(refused(R"({"model":"e","input":[[]]})"), "input[0]");
  EXPECT_EQ(refused(R"({"model":"e","input":["a",""]})"), "input[1]");
  EXPECT_EQ(refused(R"({"model":"e","input":["a",1]})"), "input[1]");
  EXPECT_EQ(refused(R"({"model":"e","input":[1,"a"]})"), "input[1]");
  EXPECT_EQ(refused(R"({"model":"e","input":[1,-1]})"), "input[1]");
  EXPECT_EQ(refused(R"({"model":"e","input":[[1],[1,100]]})"), "input[1]");
  EXPECT_EQ(refused(R"({"model":"e","input":{"a":1}})"), "input");
  EXPECT_EQ(refused(R"({"model":"e","input":"a","encoding_format":"int8"})"), "encoding_format");
  EXPECT_EQ(refused(R"({"model":"e","input":"a","truncate":true})"), "truncate");
  EXPECT_EQ(refused(R"({"model":"chat","input":"a"})"), "model");
  EXPECT_EQ(ask(R"({"model":"none","input":"a"})").status, 404);
  EXPECT_EQ(ask("").status, 400);
  EXPECT_EQ(ask("[1]").status, 400);
}

TEST_F(EmbeddingsTest, the_default_model_is_taken_where_none_is_named) {
  EXPECT_EQ(refused(R"({"input":"a"})"), "model");
  api_.service->options.default_model = "e";
  EXPECT_EQ(Answer(ask(R"({"input":"a"})")).at("model"), "e");
}

TEST_F(EmbeddingsTest, the_number_of_inputs_is_limited) {
  api_.service->options.embedding_inputs_max = 2;
  EXPECT_EQ(ask(R"({"model":"e","input":["a","b"]})").status, 200);
  EXPECT_EQ(refused(R"({"model":"e","input":["a","b","c"]})"), "input");
  EXPECT_EQ(ask(R"({"model":"e","input":[1,2,3]})").status, 200);
}

}  // namespace
}  // namespace hf::api
