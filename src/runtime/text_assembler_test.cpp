#include "runtime/text_assembler.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/utf8.hpp"

namespace hf::runtime {
namespace {

struct Outcome {
  std::string text;
  std::optional<std::string> stop;
};

// The whole text at once: what any cutting must give.
Outcome naive(const std::string& bytes, const std::vector<std::string>& stops) {
  std::size_t best = std::string::npos;
  Outcome out;
  for (const auto& stop : stops) {
    if (const auto at = bytes.find(stop); at < best) {
      best = at;
      out.stop = stop;
    }
  }
  out.text = utf8::repaired(bytes.substr(0, best));
  return out;
}

Outcome cut(const std::string& bytes, const std::vector<std::string>& stops, std::mt19937& random) {
  TextAssembler assembler(stops);
  Outcome out;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto length = 1 + random() % 5;
    const auto fed = assembler.feed(bytes.substr(at, length));
    EXPECT_TRUE(utf8::valid(fed.text));
    out.text += fed.text;
    if (fed.stop_string) {
      out.stop = fed.stop_string;
      return out;
    }
    at += length;
  }
  out.text += assembler.finish();
  return out;
}

TEST(TextAssembler, gives_the_same_text_whatever_the_cuts) {
  std::mt19937 random(7);
  const std::string emoji = "\xF0\x9F\x98\x80";
  const std::vector<std::string> parts = {"a", "ab", "b", emoji, "\xE4\xBD\xA0", "END", "E", "\n\n", "EN"};
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    for (int i = 0; i < 12; ++i) bytes += parts[random() % parts.size()];
    const std::vector<std::string> stops = {"END", "\n\n", emoji + "a"};
    const auto expected = naive(bytes, stops);
    const auto got = cut(bytes, stops, random);
    ASSERT_EQ(got.text, expected.text) << round;
    ASSERT_EQ(got.stop, expected.stop) << round;
  }
}

TEST(TextAssembler, broken_bytes_become_replacement_characters) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int i = 0; i < 20; ++i) bytes.push_back(static_cast<char>(random() % 256));
    ASSERT_TRUE(utf8::valid(cut(bytes, {"zzzz"}, random).text));
  }
}

TEST(TextAssembler, holds_back_what_may_become_a_stop_string) {
  TextAssembler assembler({"</s>"});
  EXPECT_EQ(assembler.feed("hello <").text, "hello ");
  EXPECT_EQ(assembler.feed("/s").text, "");
  EXPECT_EQ(assembler.feed("x").text, "</sx");
  EXPECT_EQ(assembler.feed("</s").text, "");
  EXPECT_EQ(assembler.feed(">").stop_string, "</s>");
}

}  // namespace
}  // namespace hf::runtime
