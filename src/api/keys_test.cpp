#include <gtest/gtest.h>

#include "api/replying_models.hpp"

namespace hf::api {
namespace {

TEST(Keys, are_made_listed_and_revoked_over_the_api) {
  const TestApi api;
  const auto made = api.ask("POST", "/v1/keys",
                            R"({"name":"app","permissions":["infer"],"priority":"batch","expires_days":2})");
  ASSERT_EQ(made.status, 201) << made.body;
  const Answer key(made);
  EXPECT_EQ(key.at("name"), "app");
  EXPECT_EQ(key.at("permissions"), R"(["infer"])");
  EXPECT_EQ(key.at("priority"), "batch");
  EXPECT_NE(key.at("expires_at"), "null");
  const auto id = key.at("id");
  EXPECT_TRUE(key.at("key").starts_with("hf_" + id + "_"));

  const auto list = api.ask("GET", "/v1/keys");
  EXPECT_TRUE(list.body.contains(id));
  EXPECT_FALSE(list.body.contains(key.at("key")));
  EXPECT_FALSE(list.body.contains("hmac"));

  EXPECT_EQ(Answer(api.ask("DELETE", "/v1/keys/" + id)).at("deleted"), "true");
  EXPECT_EQ(api.ask("DELETE", "/v1/keys/" + id).status, 404);
  const Headers old = {{"authorization", "Bearer " + key.at("key")}};
  EXPECT_EQ(api.ask("POST", "/v1/embeddings", "{}", old).status, 401);
}

TEST(Keys, bad_wishes_are_refused_by_name) {
  const TestApi api;
  const auto param = [&api](std::string body) {
    const auto refused = api.ask("POST", "/v1/keys", std::move(body));
    EXPECT_EQ(refused.status, 400) << refused.body;
    return Answer(refused).at("error.param");
  };
  EXPECT_EQ(param(R"({})"), "name");
  EXPECT_EQ(param(R"({"name":"a b"})"), "name");
  EXPECT_EQ(param(R"({"name":"a","permissions":[]})"), "permissions");
  EXPECT_EQ(param(R"({"name":"a","permissions":["root"]})"), "permissions");
  EXPECT_EQ(param(R"({"name":"a","permissions":["open"]})"), "permissions");
  EXPECT_EQ(param(R"({"name":"a","priority":"vip"})"), "priority");
  EXPECT_EQ(param(R"({"name":"a","expires_days":0})"), "expires_days");
  EXPECT_EQ(param(R"({"name":"a","tenant":"x"})"), "tenant");
}

TEST(Setup, spends_its_token_once) {
  TestFolder folder;
  ReplyingModels models;
  Metrics metrics;
  TestApi api;
  const auto keys = KeyStore::open(folder.path()).value();
  api.service = std::make_shared<Service>(
      Service{.models = models, .keys = *keys, .metrics = metrics});
  api.handler = make_handler(api.service);
  const auto token = keys->renew_setup_token().value().value();

  const auto set_up = [&api](std::string_view given) {
    return api.ask_as_stranger("POST", "/v1/setup",
                               R"({"token":")" + std::string(given) + R"(","name":"first"})");
  };
  const auto wrong = set_up("guess");
  EXPECT_EQ(wrong.status, 403);
  EXPECT_EQ(Answer(wrong).at("error.code"), "invalid_setup_token");
  const auto made = set_up(token);
  ASSERT_EQ(made.status, 201) << made.body;
  api.key = Answer(made).at("key");
  EXPECT_EQ(api.ask("GET", "/v1/keys").status, 200);
  const auto again = set_up(token);
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(Answer(again).at("error.code"), "setup_done");
}

}  // namespace
}  // namespace hf::api
