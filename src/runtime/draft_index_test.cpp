#include "runtime/draft_index.hpp"

#include <gtest/gtest.h>

namespace hf::runtime {
namespace {

std::vector<Token> guess(const std::vector<Token>& history, std::uint32_t count) {
  DraftIndex index;
  std::vector<Token> out;
  index.extend(history);
  index.guess(history, count, out);
  return out;
}

TEST(DraftIndex, guesses_what_followed_before) {
  EXPECT_EQ(guess({1, 2, 3, 4, 5, 6, 9, 1, 2, 3}, 3), (std::vector<Token>{4, 5, 6}));
}

TEST(DraftIndex, takes_the_latest_occurrence) {
  EXPECT_EQ(guess({1, 2, 3, 4, 1, 2, 3, 7, 1, 2, 3}, 1), std::vector<Token>{7});
}

TEST(DraftIndex, goes_on_in_a_short_loop) {
  EXPECT_EQ(guess({5, 6, 5, 6, 5, 6}, 5), (std::vector<Token>{5, 6, 5, 6, 5}));
}

TEST(DraftIndex, says_nothing_about_new_text) {
  EXPECT_TRUE(guess({1, 2, 3, 4, 5, 6}, 4).empty());
  EXPECT_TRUE(guess({1, 2}, 4).empty());
  EXPECT_TRUE(guess({}, 4).empty());
}

TEST(DraftIndex, grows_with_the_text) {
  DraftIndex index;
  std::vector<Token> history;
  std::vector<Token> out;
  for (Token i = 0; i < 2000; ++i) {
    history.push_back(i % 100);
    index.extend(history);
    index.guess(history, 1, out);
    if (i >= 103) {
      ASSERT_EQ(out, std::vector<Token>{(i + 1) % 100});
    }
  }
}

TEST(DraftIndex, learns_how_lucky_it_is) {
  DraftIndex index;
  for (int i = 0; i < 50; ++i) index.observe(true);
  EXPECT_GT(index.rate(), 0.95);
  for (int i = 0; i < 50; ++i) index.observe(false);
  EXPECT_LT(index.rate(), 0.05);
}

}  // namespace
}  // namespace hf::runtime
