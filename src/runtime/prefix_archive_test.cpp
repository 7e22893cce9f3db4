#include "runtime/prefix_archive.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace hf::runtime {
namespace {

const PrefixTree::Namespace kScope = {.scope = "a"};

std::vector<Token> counting(Token from, std::size_t count) {
  std::vector<Token> tokens(count);
  std::iota(tokens.begin(), tokens.end(), from);
  return tokens;
}

std::vector<std::uint8_t> bytes(std::size_t count) { return std::vector<std::uint8_t>(count); }

TEST(PrefixArchive, finds_the_longest_common_beginning_within_a_scope) {
  PrefixArchive archive(8, 1000);
  archive.add(kScope, counting(0, 10), bytes(10));
  auto other = counting(0, 6);
  other.push_back(99);
  archive.add(kScope, other, bytes(10));
  archive.add({.scope = "b"}, counting(0, 50), bytes(10));
  EXPECT_EQ(archive.find(kScope, counting(0, 30)).tokens, 10u);
  EXPECT_EQ(archive.find(kScope, other).tokens, 7u);
  EXPECT_EQ(archive.find(kScope, counting(5, 5)).entry, nullptr);
  EXPECT_EQ(archive.find({.scope = "a", .adapter = 1}, counting(0, 30)).tokens, 0u);
}

TEST(PrefixArchive, a_longer_prefix_takes_the_place_of_its_beginning) {
  PrefixArchive archive(8, 1000);
  archive.add(kScope, counting(0, 10), bytes(10));
  archive.add(kScope, counting(0, 20), bytes(20));
  EXPECT_EQ(archive.size(), 1u);
  EXPECT_EQ(archive.bytes(), 20u);
}

TEST(PrefixArchive, keeps_within_its_limits_and_drops_the_unused_first) {
  PrefixArchive archive(2, 100);
  archive.add(kScope, counting(0, 5), bytes(40));
  archive.add(kScope, counting(100, 5), bytes(40));
  archive.touch(archive.find(kScope, counting(0, 5)).entry);
  archive.add(kScope, counting(200, 5), bytes(40));
  EXPECT_EQ(archive.size(), 2u);
  EXPECT_EQ(archive.find(kScope, counting(0, 5)).tokens, 5u);
  EXPECT_EQ(archive.find(kScope, counting(100, 5)).tokens, 0u);
  archive.add(kScope, counting(300, 5), bytes(101));
  EXPECT_LE(archive.bytes(), 100u);
  archive.forget(UINT32_MAX);
  EXPECT_EQ(archive.size(), 0u);
  EXPECT_EQ(archive.bytes(), 0u);
}

}  // namespace
}  // namespace hf::runtime
