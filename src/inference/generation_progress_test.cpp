#include "inference/generation_progress.hpp"

#include <gtest/gtest.h>

#include "inference/call.hpp"

namespace hf::inference {
namespace {

using namespace std::chrono_literals;

GenerationProgress two_choices() {
  wire::Generate request;
  request.id = 9;
  request.choices = 2;
  request.deadline_ms = 1000;
  return GenerationProgress(request);
}

TEST(GenerationProgress, sends_the_first_request_as_it_came) {
  const auto progress = two_choices();
  const auto request = progress.request(0ms);
  EXPECT_TRUE(request.resume.empty());
  EXPECT_TRUE(request.resume_prompt.empty());
  EXPECT_EQ(request.deadline_ms, 1000U);
}

TEST(GenerationProgress, resumes_after_what_was_delivered) {
  auto progress = two_choices();
  EXPECT_TRUE(
      progress.started({.id = 9, .prompt_tokens = 2, .cached_tokens = 1, .tokens = {5, 6}}));
  EXPECT_TRUE(
      progress.delta({.id = 9, .choice = 0, .tokens = {1, 2}, .text = "ab", .logprobs = {}}));
  EXPECT_TRUE(progress.delta({.id = 9, .choice = 1, .tokens = {3}, .text = "", .logprobs = {}}));
  EXPECT_TRUE(progress.choice_done({.id = 9, .choice = 1, .completion_tokens = 2}));
  const auto request = progress.request(400ms);
  EXPECT_EQ(request.resume_prompt, (std::vector<wire::Token>{5, 6}));
  EXPECT_EQ(request.resume, (std::vector<std::vector<wire::Token>>{{1, 2}, {3}}));
  EXPECT_EQ(request.resume_finished, (std::vector<std::uint8_t>{0, 1}));
  EXPECT_EQ(request.resume_text_bytes, (std::vector<std::uint32_t>{2, 0}));
  EXPECT_EQ(request.deadline_ms, 600U);
  EXPECT_EQ(progress.request(5s).deadline_ms, 1U);
}

TEST(GenerationProgress, hides_repeats_and_strangers) {
  auto progress = two_choices();
  EXPECT_TRUE(progress.started({.id = 9}));
  EXPECT_FALSE(progress.started({.id = 9}));
  EXPECT_TRUE(progress.choice_done({.id = 9, .choice = 1}));
  EXPECT_FALSE(progress.choice_done({.id = 9, .choice = 1}));
  EXPECT_FALSE(progress.delta({.id = 9, .choice = 1, .tokens = {1}}));
  EXPECT_FALSE(progress.delta({.id = 9, .choice = 7, .tokens = {1}}));
}

TEST(GenerationProgress, tells_the_usage_of_the_whole_request) {
  auto progress = two_choices();
  progress.started({.id = 9, .prompt_tokens = 2, .cached_tokens = 1, .tokens = {5, 6}});
  progress.delta({.id = 9, .choice = 0, .tokens = {1, 2}});
  progress.choice_done({.id = 9, .choice = 0, .completion_tokens = 3});
  progress.interrupted();
  const auto rest = progress.finish_rest(wire::FinishReason::deadline);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].choice, 1U);
  EXPECT_TRUE(progress.complete());
  const auto done = progress.closed({.id = 9, .prompt_tokens = 99, .cached_tokens = 99});
  EXPECT_EQ(done.prompt_tokens, 2U);
  EXPECT_EQ(done.cached_tokens, 1U);
  EXPECT_EQ(done.completion_tokens, 3U);
}

}  // namespace
}  // namespace hf::inference
