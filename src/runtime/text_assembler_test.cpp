#include "runtime/text_assembler.hpp"

#include <random>

#include <gtest/gtest.h>

#include "base/utf8.hpp"

namespace hf::runtime {
namespace {

struct Whole {
  std::string text;
  std::optional<std::string> stop;
};

/// The rule said plainly, on the whole text: the first end of any stop string ends it.
Whole naive(std::string_view bytes, const std::vector<std::string>& stops) {
  const auto text = utf8::repaired(bytes);
  for (std::size_t end = 1; end <= text.size(); ++end) {
    const std::string* longest = nullptr;
    for (const auto& stop : stops) {
      if (!std::string_view(text).substr(0, end).ends_with(stop)) continue;
      if (longest == nullptr || stop.size() > longest->size()) longest = &stop;
    }
    if (longest != nullptr) return {text.substr(0, end - longest->size()), *longest};
  }
  return {text, std::nullopt};
}

Whole in_pieces(std::string_view bytes, const std::vector<std::string>& stops,
                std::mt19937& random) {
  TextAssembler assembler(stops);
  Whole whole;
  while (!bytes.empty()) {
    const auto length = std::min<std::size_t>(bytes.size(), random() % 5);
    const auto fed = assembler.feed(bytes.substr(0, length));
    bytes.remove_prefix(length);
    EXPECT_TRUE(utf8::valid(fed.text));
    whole.text += fed.text;
    if (fed.stop_string) return {whole.text, fed.stop_string};
  }
  whole.text += assembler.finish();
  return whole;
}

TEST(TextAssembler, holds_an_emoji_until_it_is_whole) {
  TextAssembler assembler({});
  EXPECT_EQ(assembler.feed("ok \xF0\x9F").text, "ok ");
  EXPECT_EQ(assembler.feed("\x98").text, "");
  EXPECT_EQ(assembler.feed("\x80!").text, "\xF0\x9F\x98\x80!");
  EXPECT_EQ(assembler.finish(), "");
}

TEST(TextAssembler, cuts_the_stop_string_and_holds_its_beginning) {
  TextAssembler assembler({"</s>", "END"});
  EXPECT_EQ(assembler.feed("a<").text, "a");
  EXPECT_EQ(assembler.feed("b</").text, "<b");
  const auto fed = assembler.feed("s>tail");
  EXPECT_EQ(fed.text, "");
  EXPECT_EQ(fed.stop_string, "</s>");
}

TEST(TextAssembler, gives_back_what_it_held_when_generation_ends) {
  TextAssembler assembler({"stop"});
  EXPECT_EQ(assembler.feed("do not sto").text, "do not ");
  EXPECT_EQ(assembler.finish(), "sto");
}

TEST(TextAssembler, repairs_an_unfinished_end) {
  TextAssembler assembler({});
  EXPECT_EQ(assembler.feed("x\xE4\xBD").text, "x");
  EXPECT_EQ(assembler.finish(), "\xEF\xBF\xBD");
}

TEST(TextAssembler, equals_the_whole_text_model_for_random_cuts) {
  const std::vector<std::string> letters = {
      "a", "b", "ab", "\xC3\xA9", "\xF0\x9F\x98\x80", "\xE4\xBD\xA0"};
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::string> stops(random() % 4);
    for (auto& stop : stops) {
      for (auto n = 1 + random() % 5; n > 0; --n) stop += letters[random() % letters.size()];
    }
    std::string bytes;
    for (auto n = random() % 30; n > 0; --n) {
      if (random() % 12 == 0) {
        bytes += static_cast<char>(random() % 256);
      } else {
        bytes += letters[random() % letters.size()];
      }
    }
    const auto expected = naive(bytes, stops);
    const auto got = in_pieces(bytes, stops, random);
    ASSERT_EQ(got.text, expected.text) << "round " << round;
    ASSERT_EQ(got.stop, expected.stop) << "round " << round;
  }
}

}  // namespace
}  // namespace hf::runtime
