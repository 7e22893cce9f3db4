#include "runtime/sampler.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "runtime/sampler_candidates.hpp"
#include "runtime/sampler_random.hpp"

namespace hf::runtime {

namespace {

std::vector<float> random_logits(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(count);
  for (auto& value : logits) value = normal(random);
  return logits;
}

// Sorts everything and filters step by step: what pick() must agree with.
std::vector<std::pair<Token, double>> naive(std::span<const float> logits,
                                            const wire::Sampling& s) {
  std::vector<std::pair<Token, double>> all;
  const auto top = *std::ranges::max_element(logits);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const auto scaled = static_cast<double>(logits[i] - top) / static_cast<double>(s.temperature);
    all.emplace_back(static_cast<Token>(i), std::exp(scaled));
  }
  std::ranges::sort(all, [](auto& a, auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (s.top_k > 0 && static_cast<std::size_t>(s.top_k) < all.size()) {
    all.resize(static_cast<std::size_t>(s.top_k));
  }
  double total = 0;
  for (const auto& [token, weight] : all) total += weight;
  if (s.top_p < 1) {
    double mass = 0;
    std::size_t kept = 0;
    while (kept < all.size() && mass < static_cast<double>(s.top_p) * total)
      mass += all[kept++].second;
    all.resize(kept);
  }
  if (s.min_p > 0) {
    const auto least = static_cast<double>(s.min_p) * all[0].second;
    std::erase_if(all, [least](const auto& entry) { return entry.second < least; });
  }
  return all;
}

TEST(Philox, agrees_with_the_published_vectors) {
  const std::array<std::uint32_t, 4> zero = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), zero);
  const std::array<std::uint32_t, 4> ones = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  EXPECT_EQ(philox({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}), ones);
}

double uniform(std::uint64_t seed, std::uint32_t choice, std::uint64_t position) {
  return uniform_pair(seed, choice, position)[0];
}

TEST(Uniform, depends_on_seed_choice_and_position_only) {
  EXPECT_EQ(uniform(1, 0, 5), uniform(1, 0, 5));
  EXPECT_NE(uniform(1, 0, 5), uniform(1, 1, 5));
  EXPECT_NE(uniform(1, 0, 5), uniform(2, 0, 5));
  double total = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) total += uniform(3, 0, i);
  EXPECT_NEAR(total / 10'000, 0.5, 0.02);
}

// How often each token is picked, over as many seeds.
std::map<Token, int> picks(const std::vector<float>& logits, wire::Sampling sampling, int count) {
  std::map<Token, int> seen;
  for (int i = 0; i < count; ++i) {
    auto copy = logits;
    sampling.seed = static_cast<std::uint64_t>(i);
    ++seen[Sampler(sampling, 0, {}).pick(copy, nullptr, {}).token];
  }
  return seen;
}

TEST(Sampler, keeps_the_same_tokens_as_a_full_sort) {
  for (unsigned seed = 0; seed < 3; ++seed) {
    const auto logits = random_logits(1000, seed);
    for (const auto& sampling :
         {wire::Sampling{.temperature = 0.8F, .top_p = 0.9F},
          wire::Sampling{.temperature = 1.5F, .top_k = 40},
          wire::Sampling{.temperature = 1, .top_k = 50, .top_p = 0.7F},
          wire::Sampling{.temperature = 1, .min_p = 0.05F},
          wire::Sampling{.temperature = 0.7F, .top_p = 0.95F, .min_p = 0.02F}}) {
      const auto expected = naive(logits, sampling);
      double total = 0;
      for (const auto& entry : expected) total += entry.second;
      constexpr int kDraws = 200;
      const auto seen = picks(logits, sampling, kDraws);
      for (const auto& [token, count] : seen) {
        EXPECT_TRUE(std::ranges::contains(expected, token, &std::pair<Token, double>::first))
            << token;
      }
      // The likeliest comes as often as it should, within four standard deviations.
      const auto share = expected[0].second / total;
      const auto found = seen.find(expected[0].first);
      const auto times = found == seen.end() ? 0 : found->second;
      EXPECT_NEAR(times, kDraws * share, 4 * std::sqrt(kDraws * share * (1 - share)) + 1);
    }
  }
}

TEST(Sampler, without_limits_follows_the_distribution) {
  const auto logits = random_logits(8, 3);
  const wire::Sampling sampling{.temperature = 1};
  const auto expected = naive(logits, sampling);
  double total = 0;
  for (const auto& entry : expected) total += entry.second;
  constexpr int kDraws = 5'000;
  auto seen = picks(logits, sampling, kDraws);
  double chi = 0;
  for (const auto& [token, weight] : expected) {
    const auto wanted = kDraws * weight / total;
    if (wanted >= 5) chi += (seen[token] - wanted) * (seen[token] - wanted) / wanted;
  }
  EXPECT_LT(chi, 24.3);  // 0.999 quantile at 7 degrees of freedom.
}

TEST(Sampler, greedy_takes_the_lowest_of_equals) {
  std::vector<float> logits = {1, 5, 5, 2};
  EXPECT_EQ(Sampler({.temperature = 0}, 0, {}).pick(logits, nullptr, {}).token, 1);
}

TEST(Sampler, greedy_finds_the_largest_wherever_it_is) {
  for (const std::size_t size : {1UL, 7UL, 64UL, 1023UL, 1025UL, 5000UL}) {
    auto logits = random_logits(size, 1);
    for (std::size_t at = 0; at < size; at += 1 + size / 50) {
      auto marked = logits;
      marked[at] = 100;
      EXPECT_EQ(argmax(marked), static_cast<Token>(at));
      if (at + 1 < size) marked[at + 1] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_EQ(Sampler({.temperature = 0}, 0, {}).pick(marked, nullptr, {}).token,
                static_cast<Token>(at));
    }
  }
}

TEST(Sampler, survives_nan_and_infinities) {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> logits = {nan, -INFINITY, 2, nan};
  EXPECT_EQ(Sampler({.temperature = 1, .seed = 4}, 0, {}).pick(logits, nullptr, {}).token, 2);
  std::vector<float> none = {-INFINITY, -INFINITY};
  EXPECT_EQ(Sampler({.temperature = 1}, 0, {}).pick(none, nullptr, {}).token, 0);
}

TEST(Sampler, bias_of_minus_100_bans) {
  std::vector<float> logits = {9, 1};
  const Sampler sampler({.temperature = 0, .logit_bias = {{0, -100}}}, 0, {});
  EXPECT_EQ(sampler.pick(logits, nullptr, {}).token, 1);
}

TEST(Sampler, penalties_count_as_documented) {
  const std::vector<Token> prompt = {0};
  Sampler sampler({.temperature = 0, .presence_penalty = 1, .frequency_penalty = 0.5F}, 0, prompt);
  std::vector<float> logits = {3, 2.9F};
  EXPECT_EQ(sampler.pick(logits, nullptr, {}).token, 0);  // The prompt does not count.
  sampler.accept(0);
  logits = {3, 2.9F};
  EXPECT_EQ(sampler.pick(logits, nullptr, {}).token, 1);
}

TEST(Sampler, logprobs_are_of_the_raw_distribution) {
  std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.2F)};
  const Sampler sampler({.temperature = 0, .logit_bias = {{0, -100}}, .logprobs = 2}, 0, {});
  const auto picked = sampler.pick(logits, nullptr, {});
  EXPECT_EQ(picked.token, 1);
  EXPECT_NEAR(picked.logprob->logprob, std::log(0.3), 1e-4);
  ASSERT_EQ(picked.logprob->top.size(), 2U);
  EXPECT_EQ(picked.logprob->top[0].token, 0);
  EXPECT_NEAR(picked.logprob->top[0].logprob, std::log(0.5), 1e-4);
}

}  // namespace
}  // namespace hf::runtime
