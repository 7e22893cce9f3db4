#include <gtest/gtest.h>

#include "api/replying_models.hpp"

namespace hf::api {
namespace {

class TokenizeTest : public testing::Test {
 protected:
  TokenizeTest() {
    api_.models.add("m", {.request_tokens_max = 2048, .vocabulary = 128, .generates = 1,
                          .chat_template = "{{ messages }}"});
    api_.models.add("plain", {.generates = 1});
  }
  [[nodiscard]] HttpResponse ask(std::string_view path, std::string body) const {
    return api_.ask("POST", path, std::move(body));
  }
  [[nodiscard]] std::string refused(std::string_view path, std::string body) const {
    const auto response = ask(path, std::move(body));
    EXPECT_EQ(response.status, 400) << response.body;
    return Answer(response).at("error.param");
  }
  TestApi api_;
};

TEST_F(TokenizeTest, a_prompt_is_counted_and_split) {
  for (const auto* path : {"/tokenize", "/v1/tokenize"}) {
    const Answer answer(ask(path, R"({"model":"m","prompt":"ab"})"));
    EXPECT_EQ(answer.at("count"), "2");
    EXPECT_EQ(answer.at("max_model_len"), "2048");
    EXPECT_EQ(answer.at("tokens"), "[97,98]");
    EXPECT_EQ(answer.at("token_strs"), "null");
  }
  EXPECT_EQ(api_.models.tokenized.back().add_special, 1);
}

TEST_F(TokenizeTest, pieces_and_special_tokens_as_asked) {
  const Answer answer(ask("/tokenize", R"({"model":"m","prompt":"ab","return_token_strs":true,
                                           "add_special_tokens":false})"));
  EXPECT_EQ(answer.at("token_strs"), R"(["a","b"])");
  EXPECT_EQ(api_.models.tokenized.back().add_special, 0);
}

TEST_F(TokenizeTest, messages_go_through_the_template) {
  const auto response =
      ask("/tokenize", R"({"model":"m","messages":[{"role":"user","content":"hi"}],
                           "tools":[],"chat_template_kwargs":{"a":1},"add_generation_prompt":false})");
  EXPECT_EQ(response.status, 200) << response.body;
  const auto& prompt = api_.models.tokenized.back().prompt;
  EXPECT_EQ(prompt.kind, wire::PromptKind::chat);
  EXPECT_EQ(prompt.messages_json, R"([{"role":"user","content":"hi"}])");
  EXPECT_EQ(prompt.template_args_json, R"({"a":1})");
  EXPECT_EQ(prompt.add_generation_prompt, 0);
}

TEST_F(TokenizeTest, refuses_what_it_cannot_take_by_name) {
  EXPECT_EQ(refused("/tokenize", R"({"model":"m"})"), "prompt");
  EXPECT_EQ(refused("/tokenize", R"({"model":"m","prompt":["a"]})"), "prompt");
  EXPECT_EQ(refused("/tokenize", R"({"model":"m","prompt":"a","messages":[{}]})"), "prompt");
  EXPECT_EQ(refused("/tokenize", R"({"model":"m","messages":[]})"), "messages");
  EXPECT_EQ(refused("/tokenize", R"({"model":"plain","messages":[{}]})"), "messages");
  EXPECT_EQ(refused("/tokenize", R"({"model":"m","messages":[{}],"chat_template":"x"})"), "chat_template");
  EXPECT_EQ(refused("/tokenize", R"({"model":"m","messages":[{}],"continue_final_message":true})"),
            "continue_final_message");
  EXPECT_EQ(refused("/tokenize", R"({"model":"m","messages":[{}],"add_special_tokens":true})"),
            "add_special_tokens");
  EXPECT_EQ(refused("/detokenize", R"({"model":"m"})"), "tokens");
  EXPECT_EQ(refused("/detokenize", R"({"model":"m","tokens":["a"]})"), "tokens[0]");
  EXPECT_EQ(refused("/detokenize", R"({"model":"m","tokens":[1,128]})"), "tokens");
  EXPECT_EQ(ask("/tokenize", R"({"model":"x","prompt":"a"})").status, 404);
}

TEST_F(TokenizeTest, tokens_become_text_again) {
  EXPECT_EQ(Answer(ask("/detokenize", R"({"model":"m","tokens":[104,105]})")).at("prompt"), "hi");
  EXPECT_EQ(Answer(ask("/v1/detokenize", R"({"model":"m","tokens":[]})")).at("prompt"), "");
}

TEST(Models, are_listed_with_adapters_and_what_is_known_of_them) {
  TestApi api;
  auto& status = api.models.add("org/m", {.context_train_tokens = 8192, .request_tokens_max = 4096,
                                          .generates = 1});
  status.adapters = {"law"};
  auto& cold = api.models.add("cold", {});
  cold.state = inference::ModelState::unloaded;
  cold.kind = "embedding";
  const Answer list(api.ask("GET", "/v1/models"));
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("data.0.id"), "org/m");
  EXPECT_EQ(list.at("data.0.owned_by"), "holdfast");
  EXPECT_EQ(list.at("data.0.created"), "1700000000");
  EXPECT_EQ(list.at("data.0.kind"), "chat");
  EXPECT_EQ(list.at("data.0.context_length"), "8192");
  EXPECT_EQ(list.at("data.0.max_model_len"), "4096");
  EXPECT_EQ(list.at("data.0.licence"), "Apache-2.0");
  EXPECT_EQ(list.at("data.1.id"), "org/m:law");
  EXPECT_EQ(list.at("data.1.parent"), "org/m");
  EXPECT_EQ(list.at("data.2.state"), "unloaded");
  EXPECT_EQ(list.at("data.2.kind"), "embedding");
  EXPECT_EQ(list.at("data.2.context_length"), "null");
}

TEST(Models, one_is_shown_by_a_name_with_slash_and_colon) {
  TestApi api;
  api.models.add("org/m", {.generates = 1}).adapters = {"law"};
  EXPECT_EQ(Answer(api.ask("GET", "/v1/models/org/m")).at("id"), "org/m");
  EXPECT_EQ(Answer(api.ask("GET", "/v1/models/org/m:law")).at("id"), "org/m:law");
  const auto missing = api.ask("GET", "/v1/models/nothing");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(Answer(missing).at("error.code"), "model_not_found");
}

}  // namespace
}  // namespace hf::api
