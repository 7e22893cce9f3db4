#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "api/replying_models.hpp"

namespace hf::api {
namespace {

class RerankTest : public testing::Test {
 protected:
  RerankTest() {
    api_.models.add("r", {.reranks = 1});
    api_.models.add("chat", {.generates = 1});
    api_.models.scores = {0, 2, -1};
  }
  [[nodiscard]] HttpResponse ask(const std::string& more) const {
    return api_.ask("POST", "/v1/rerank",
                    R"({"model":"r","query":"q","documents":["a",{"text":"b"},"c"])" + more + "}");
  }
  [[nodiscard]] std::string refused(std::string body) const {
    const auto response = api_.ask("POST", "/rerank", std::move(body));
    EXPECT_EQ(response.status, 400) << response.body;
    return Answer(response).at("error.param");
  }
  TestApi api_;
};

TEST_F(RerankTest, best_first_with_probabilities) {
  const auto response = ask("");
  ASSERT_EQ(response.status, 200) << response.body;
  const Answer answer(response);
  EXPECT_EQ(answer.at("model"), "r");
  EXPECT_EQ(answer.at("results.0.index"), "1");
  EXPECT_EQ(answer.at("results.0.document.text"), "b");
  EXPECT_NEAR(std::stod(answer.at("results.0.relevance_score")), 1 / (1 + std::exp(-2.0)), 1e-9);
  EXPECT_EQ(answer.at("results.1.index"), "0");
  EXPECT_EQ(answer.at("results.1.relevance_score"), "0.5");
  EXPECT_EQ(answer.at("results.2.index"), "2");
  EXPECT_EQ(answer.at("usage.total_tokens"), "9");
}

TEST_F(RerankTest, top_n_and_return_documents_are_heeded) {
  const Answer answer(ask(R"(,"top_n":1,"return_documents":false)"));
  EXPECT_EQ(answer.at("results.0.index"), "1");
  EXPECT_EQ(answer.at("results.0.document"), "absent");
  EXPECT_EQ(answer.at("results.1"), "absent");
  EXPECT_EQ(Answer(ask(R"(,"top_n":100)")).at("results.2.index"), "2");
}

TEST_F(RerankTest, equals_keep_the_order_of_the_request) {
  api_.models.scores = {1, 1, 1};
  const Answer answer(ask(""));
  EXPECT_EQ(answer.at("results.0.index"), "0");
  EXPECT_EQ(answer.at("results.2.index"), "2");
}

TEST_F(RerankTest, refuses_what_it_cannot_take_by_name) {
  EXPECT_EQ(refused(R"({"model":"r","documents":["a"]})"), "query");
  EXPECT_EQ(refused(R"({"model":"r","query":"","documents":["a"]})"), "query");
  EXPECT_EQ(refused(R"({"model":"r","query":"q"})"), "documents");
  EXPECT_EQ(refused(R"({"model":"r","query":"q","documents":[]})"), "documents");
  EXPECT_EQ(refused(R"({"model":"r","query":"q","documents":[{"title":"x"}]})"), "documents[0].text");
  EXPECT_EQ(refused(R"({"model":"r","query":"q","documents":[1]})"), "documents[0]");
  EXPECT_EQ(refused(R"({"model":"r","query":"q","documents":["a"],"top_n":0})"), "top_n");
  EXPECT_EQ(refused(R"({"model":"r","query":"q","documents":["a"],"rank_fields":["t"]})"), "rank_fields");
  EXPECT_EQ(refused(R"({"model":"chat","query":"q","documents":["a"]})"), "model");
}

TEST_F(RerankTest, scores_that_are_no_numbers_are_not_passed_on) {
  api_.models.scores = {0, std::numeric_limits<float>::quiet_NaN(), 1};
  EXPECT_EQ(ask("").status, 500);
  api_.models.scores = {0};
  EXPECT_EQ(ask("").status, 500);
}

}  // namespace
}  // namespace hf::api
