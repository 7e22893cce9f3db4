#include <gtest/gtest.h>

#include "client/endpoint.hpp"
#include "client/load.hpp"

namespace hf::client {
namespace {

TEST(EventCutter, gives_the_same_events_whatever_the_cuts) {
  const std::string stream = ": ping\n\ndata: {\"a\":1}\r\n\r\nevent: x\ndata: one\ndata: two\n\ndata: [DONE]\n\n";
  const std::vector<std::string> expected = {"{\"a\":1}", "one\ntwo", "[DONE]"};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    std::vector<std::string> got;
    EventCutter cutter([&](std::string_view data) { got.emplace_back(data); });
    for (std::size_t at = 0; at < stream.size(); at += piece) cutter.feed(stream.substr(at, piece));
    EXPECT_EQ(got, expected) << piece;
  }
}

TEST(Load, prompts_share_their_beginning_as_often_as_asked) {
  LoadOptions options{.prompt_words = 5, .shared_words = 20, .shared_share = 0.5};
  const auto with = load_prompt(options, 1);
  const auto beginning = with.substr(0, with.size() / 2);
  int shared = 0;
  for (std::uint32_t i = 0; i < 10; ++i) shared += load_prompt(options, i).starts_with(beginning) ? 1 : 0;
  EXPECT_EQ(shared, 5);
  EXPECT_EQ(load_prompt(options, 3), load_prompt(options, 3));
  EXPECT_NE(load_prompt(options, 1), load_prompt(options, 3));
}

TEST(Load, percentiles_are_values_that_occurred) {
  std::vector<double> values;
  for (int i = 1; i <= 100; ++i) values.push_back(i);
  const auto p = percentiles(values);
  EXPECT_EQ(p.p50, 50);
  EXPECT_EQ(p.p99, 99);
  EXPECT_EQ(p.max, 100);
}

TEST(Client, says_that_nothing_answers) {
  Client client({.address = "https://127.0.0.1:1"});
  const auto answer = client.get("/livez");
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("holdfast serve"), std::string::npos);
}

}  // namespace
}  // namespace hf::client
