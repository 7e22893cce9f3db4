#include "runtime/prefix_tree.hpp"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace hf::runtime {
namespace {

using Tokens = std::vector<Token>;
constexpr std::uint32_t kAll = 1000;

const PrefixTree::Usable kEverything = [](SequenceId) { return kAll; };

TEST(PrefixTree, finds_the_longest_common_beginning) {
  PrefixTree tree(8);
  tree.insert({}, Tokens{1, 2, 3, 4}, 0);
  tree.insert({}, Tokens{1, 2, 9}, 1);
  const auto longer = tree.find({}, Tokens{1, 2, 3, 7}, kEverything);
  EXPECT_EQ(longer.tokens, 3U);
  EXPECT_EQ(longer.sequence, 0U);
  EXPECT_EQ(tree.find({}, Tokens{1, 2, 9, 9}, kEverything).sequence, 1U);
  EXPECT_EQ(tree.find({}, Tokens{5}, kEverything).tokens, 0U);
}

TEST(PrefixTree, keeps_namespaces_apart) {
  PrefixTree tree(8);
  tree.insert({.scope = "a", .adapter = 1}, Tokens{1, 2, 3}, 0);
  EXPECT_EQ(tree.find({.scope = "b", .adapter = 1}, Tokens{1, 2, 3}, kEverything).tokens, 0U);
  EXPECT_EQ(tree.find({.scope = "a", .adapter = 2}, Tokens{1, 2, 3}, kEverything).tokens, 0U);
  EXPECT_EQ(tree.find({.scope = "a", .adapter = 1}, Tokens{1, 2, 3}, kEverything).tokens, 3U);
}

TEST(PrefixTree, prefers_a_shorter_match_that_is_computed) {
  PrefixTree tree(8);
  tree.insert({}, Tokens{1, 2, 3, 4, 5}, 0);
  tree.insert({}, Tokens{1, 2, 3}, 1);
  const auto match =
      tree.find({}, Tokens{1, 2, 3, 4, 5}, [](SequenceId id) { return id == 0 ? 1U : 3U; });
  EXPECT_EQ(match.sequence, 1U);
  EXPECT_EQ(match.tokens, 3U);
}

TEST(PrefixTree, names_the_sequences_that_one_covers) {
  PrefixTree tree(8);
  tree.insert({}, Tokens{1, 2}, 0);
  tree.insert({}, Tokens{1, 2, 3}, 1);
  tree.insert({}, Tokens{1, 2, 4}, 2);
  tree.insert({}, Tokens{1, 2, 3, 4}, 3);
  auto covered = tree.covered_by(3);
  std::ranges::sort(covered);
  EXPECT_EQ(covered, (std::vector<SequenceId>{0, 1}));
}

TEST(PrefixTree, is_empty_once_all_are_erased) {
  PrefixTree tree(4);
  for (SequenceId id = 0; id < 4; ++id) {
    tree.insert({}, Tokens{1, 2, static_cast<Token>(id), 4}, id);
  }
  EXPECT_EQ(tree.nodes(), 5U);
  for (SequenceId id = 0; id < 4; ++id) tree.erase(id);
  EXPECT_EQ(tree.nodes(), 0U);
  EXPECT_EQ(tree.find({}, Tokens{1, 2}, kEverything).tokens, 0U);
}

std::uint32_t common(const Tokens& a, const Tokens& b) {
  const auto end = std::min(a.size(), b.size());
  std::uint32_t n = 0;
  while (n < end && a[n] == b[n]) ++n;
  return n;
}

TEST(PrefixTree, agrees_with_comparing_all_pairs) {
  std::mt19937 random(7);
  PrefixTree tree(16);
  std::map<SequenceId, Tokens> filed;
  for (int round = 0; round < 3000; ++round) {
    Tokens tokens(random() % 12);
    for (auto& token : tokens) token = static_cast<Token>(random() % 2);
    const auto id = static_cast<SequenceId>(random() % 16);
    switch (random() % 3) {
      case 0:
        tree.insert({}, tokens, id);
        filed[id] = tokens;
        break;
      case 1:
        tree.erase(id);
        filed.erase(id);
        break;
      default: {
        const auto usable = [](SequenceId of) { return of % 7 + 1; };
        std::uint32_t best = 0;
        for (const auto& [other, held] : filed)
          best = std::max(best, std::min(usable(other), common(held, tokens)));
        const auto match = tree.find({}, tokens, usable);
        ASSERT_EQ(match.tokens, best);
        if (best > 0) {
          ASSERT_GE(common(filed.at(match.sequence), tokens), best);
        }
      }
    }
  }
}

}  // namespace
}  // namespace hf::runtime
