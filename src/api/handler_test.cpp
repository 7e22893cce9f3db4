#include <gtest/gtest.h>

#include "api/answer.hpp"
#include "api/replying_models.hpp"

namespace hf::api {
namespace {

std::string header(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

TEST(Handler, a_request_without_a_key_is_told_how_to_get_one) {
  const TestApi api;
  const auto refused = api.ask_as_stranger("GET", "/v1/models");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(header(refused, "www-authenticate"), "Bearer");
  EXPECT_EQ(Answer(refused).at("error.code"), "invalid_api_key");
  EXPECT_TRUE(Answer(refused).at("error.message").contains("holdfast key create"));
}

TEST(Handler, wrong_keys_and_other_schemes_are_refused) {
  const TestApi api;
  for (const auto* value : {"Bearer hf_wrong", "Bearer ", "Bearer", "Basic abc", ""}) {
    const auto refused = api.ask("GET", "/v1/models", {}, {{"authorization", value}});
    EXPECT_EQ(refused.status, 401) << value;
  }
}

TEST(Handler, takes_the_key_in_three_places) {
  const TestApi api;
  const auto with = [&api](std::string name, std::string value) {
    return api.ask_as_stranger("GET", "/v1/models", {}, {{std::move(name), std::move(value)}}).status;
  };
  EXPECT_EQ(with("authorization", "Bearer " + api.key), 200);
  EXPECT_EQ(with("authorization", "bearer  " + api.key), 200);
  EXPECT_EQ(with("x-api-key", api.key), 200);
  EXPECT_EQ(with("api-key", api.key), 200);
}

TEST(Handler, a_key_without_the_permission_gets_403) {
  const TestApi api;
  const auto narrow = api.keys->create({.name = "n", .permissions = {Permission::models}})->secret;
  const Headers headers = {{"authorization", "Bearer " + narrow}};
  EXPECT_EQ(api.ask("GET", "/v1/models", {}, headers).status, 200);
  for (const auto& [method, path, permission] :
       {std::tuple{"POST", "/v1/chat/completions", "infer"}, {"POST", "/v1/embeddings", "infer"},
        {"GET", "/metrics", "metrics"}, {"GET", "/v1/keys", "keys"}, {"POST", "/v1/keys", "keys"},
        {"DELETE", "/v1/keys/abc", "keys"}}) {
    const auto refused = api.ask(method, path, "{}", headers);
    EXPECT_EQ(refused.status, 403) << path;
    EXPECT_TRUE(Answer(refused).at("error.message").contains(permission));
  }
}

// The matrix of everything there is: no endpoint but the open ones answers without a key.
TEST(Handler, no_endpoint_answers_strangers_by_mistake) {
  const TestApi api;
  for (const auto& route : routes()) {
    auto path = std::string(route.path);
    if (path.ends_with("{}")) path.replace(path.size() - 2, 2, "x");
    const auto answer = api.ask_as_stranger(route.method, path, "{}");
    if (route.permission == Permission::open) {
      EXPECT_NE(answer.status, 401) << path;
    } else {
      EXPECT_EQ(answer.status, 401) << path;
    }
  }
}

TEST(Handler, unknown_paths_are_404_whatever_the_method) {
  const TestApi api;
  for (const auto* path : {"/", "/v1", "/v1/models/", "/v1/modelsx", "/V1/models", "/livez/",
                           "/v1/keys/", "//livez", "/v1/chat"}) {
    const auto refused = api.ask("GET", path);
    EXPECT_EQ(refused.status, 404) << path;
    EXPECT_EQ(Answer(refused).at("error.code"), "unknown_url");
  }
  EXPECT_EQ(api.ask("POST", "/" + std::string(10'000, 'x')).status, 404);
}

TEST(Handler, a_wrong_method_is_told_the_right_ones) {
  const TestApi api;
  const auto refused = api.ask("GET", "/v1/embeddings");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(header(refused, "allow"), "POST, OPTIONS");
  EXPECT_EQ(header(api.ask("PUT", "/v1/keys"), "allow"), "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(api.ask("POST", "/livez").status, 405);
}

TEST(Handler, head_works_as_get_and_options_names_the_methods) {
  const TestApi api;
  EXPECT_EQ(api.ask("HEAD", "/livez").status, 200);
  const auto options = api.ask_as_stranger("OPTIONS", "/v1/models");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(header(options, "allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(api.ask_as_stranger("OPTIONS", "*").status, 204);
  EXPECT_EQ(api.ask_as_stranger("OPTIONS", "/nothing").status, 404);
}

TEST(Handler, speaks_chinese_to_those_who_ask) {
  const TestApi api;
  const auto refused = api.ask("GET", "/nothing", {}, {{"accept-language", "zh-CN,en;q=0.5"}});
  EXPECT_TRUE(Answer(refused).at("error.message").contains("不存在接口"));
  const auto stranger = api.ask_as_stranger("GET", "/v1/models", {}, {{"accept-language", "zh"}});
  EXPECT_TRUE(Answer(stranger).at("error.message").contains("密钥"));
}

TEST(Handler, counts_by_route_template_method_and_status) {
  TestApi api;
  api.models.add("m", {.generates = 1});
  api.ask("GET", "/v1/models/m");
  api.ask("GET", "/v1/models/missing");
  api.ask("GET", "/v1/models/also-missing");
  api.ask("BREW", "/coffee");
  const auto text = api.metrics.text();
  const auto has = [&text](std::string_view labels, int count) {
    return text.contains("holdfast_http_requests_total{" + std::string(labels) + "} " +
                         std::to_string(count));
  };
  EXPECT_TRUE(has(R"(route="/v1/models/{}",method="GET",code="200")", 1)) << text;
  EXPECT_TRUE(has(R"(route="/v1/models/{}",method="GET",code="404")", 2)) << text;
  EXPECT_TRUE(has(R"(route="none",method="other",code="404")", 1)) << text;
  EXPECT_FALSE(text.contains("missing"));
  EXPECT_TRUE(text.contains("holdfast_inflight_requests 0"));
  EXPECT_TRUE(text.contains(R"(holdfast_http_request_duration_seconds_count{route="/v1/models/{}"} 3)"));
  EXPECT_TRUE(text.contains(R"(holdfast_auth_attempts_total{method="api_key",result="ok"} 3)"));
}

TEST(Handler, metrics_need_a_key_unless_opened) {
  TestApi api;
  EXPECT_EQ(api.ask_as_stranger("GET", "/metrics").status, 401);
  api.service->options.open_metrics = true;
  const auto text = api.ask_as_stranger("GET", "/metrics");
  EXPECT_EQ(text.status, 200);
  EXPECT_TRUE(text.content_type.starts_with("text/plain; version=0.0.4"));
  EXPECT_TRUE(text.body.contains("# TYPE holdfast_http_requests_total counter"));
}

TEST(Handler, readiness_follows_draining_and_the_model_store) {
  TestApi api;
  api.models.add("m", {.generates = 1}).state = inference::ModelState::loading;
  EXPECT_EQ(api.ask_as_stranger("GET", "/readyz").status, 200);
  const Answer verbose(api.ask_as_stranger("GET", "/readyz?verbose"));
  EXPECT_EQ(verbose.at("status"), "ready");
  EXPECT_EQ(verbose.at("models.0.name"), "m");
  EXPECT_EQ(verbose.at("models.0.state"), "loading");

  api.service->check_store = [] { return Result<void>(fail(Errc::unavailable, "Gone.")); };
  EXPECT_EQ(api.ask_as_stranger("GET", "/readyz").status, 503);
  api.service->check_store = {};
  api.service->draining->store(true);
  const auto draining = api.ask_as_stranger("GET", "/readyz");
  EXPECT_EQ(draining.status, 503);
  EXPECT_EQ(Answer(draining).at("status"), "draining");
  EXPECT_EQ(api.ask_as_stranger("GET", "/livez").status, 200);
}

TEST(Handler, a_broken_key_store_is_the_servers_fault) {
  TestApi api;
  std::filesystem::remove(api.folder.path("keys.json"));
  std::filesystem::create_directory(api.folder.path("keys.json"));
  std::this_thread::sleep_for(std::chrono::milliseconds(210));
  EXPECT_EQ(api.ask("GET", "/v1/models").status, 503);
}

TEST(Answers, finds_names_in_a_query) {
  EXPECT_TRUE(query_has("verbose", "verbose"));
  EXPECT_TRUE(query_has("a=1&verbose=1", "verbose"));
  EXPECT_FALSE(query_has("verbosely&a=verbose", "verbose"));
  EXPECT_FALSE(query_has("", "verbose"));
}

}  // namespace
}  // namespace hf::api
