#include <gtest/gtest.h>

#include <thread>

#include "base/bounded_queue.hpp"
#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/metrics.hpp"
#include "base/result.hpp"
#include "base/utf8.hpp"

namespace hf {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(Errc::invalid_argument, "odd");
  return value / 2;
}
Result<int> quarter(int value) {
  const auto first = HF_TRY(half(value));
  return half(first);
}

TEST(Result, try_passes_the_error_up) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().code, Errc::invalid_argument);
}

TEST(BoundedQueue, refuses_when_full_and_keeps_order) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  EXPECT_EQ(queue.push(3).error().code, Errc::resource_exhausted);
  EXPECT_EQ(queue.pop(), 1);
  queue.close();
  EXPECT_EQ(queue.push(4).error().code, Errc::cancelled);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, close_wakes_a_waiting_consumer) {
  BoundedQueue<int> queue(1);
  std::jthread consumer([&] { EXPECT_EQ(queue.pop(), std::nullopt); });
  queue.close();
}

TEST(Utf8, tells_unfinished_from_broken) {
  const std::string emoji = "\xF0\x9F\x98\x80";
  EXPECT_TRUE(utf8::valid(emoji));
  for (std::size_t n = 1; n < emoji.size(); ++n) EXPECT_TRUE(utf8::unfinished(emoji.substr(0, n)));
  EXPECT_FALSE(utf8::unfinished("\x80"));
  EXPECT_FALSE(utf8::unfinished("\xC3("));
  EXPECT_FALSE(utf8::valid("\xED\xA0\x80"));  // A surrogate.
  EXPECT_FALSE(utf8::valid("\xC0\xAF"));      // Overlong.
  EXPECT_EQ(utf8::valid_prefix("ab\xF0\x9F"), 2U);
}

TEST(Utf8, repair_gives_valid_text) {
  EXPECT_EQ(utf8::repaired("a\xFF" "b\xE2\x82"), "a\xEF\xBF\xBD" "b\xEF\xBF\xBD");
  for (int seed = 0; seed < 200; ++seed) {
    std::string noise;
    for (int i = 0; i < 40; ++i) noise.push_back(static_cast<char>((seed * 131 + i * i * 37) & 0xFF));
    EXPECT_TRUE(utf8::valid(utf8::repaired(noise)));
  }
}

TEST(Digest, agrees_with_published_vectors) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64url("\xFB\xFF"), "-_8");
  EXPECT_EQ(random_bytes(32).size(), 32U);
  EXPECT_TRUE(equal_constant_time("same", "same"));
  EXPECT_FALSE(equal_constant_time("same", "some"));
}

TEST(Metrics, writes_prometheus_text) {
  Metrics metrics;
  metrics.counter("hf_requests_total", "Requests.", {{"code", "200"}}).add(2);
  metrics.histogram("hf_wait_seconds", "Wait.", {0.1, 1}).observe(0.1);
  metrics.histogram("hf_wait_seconds", "Wait.", {0.1, 1}).observe(5);
  const auto text = metrics.text();
  EXPECT_NE(text.find("hf_requests_total{code=\"200\"} 2\n"), std::string::npos);
  EXPECT_NE(text.find("hf_wait_seconds_bucket{le=\"0.1\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("hf_wait_seconds_bucket{le=\"+Inf\"} 2\n"), std::string::npos);
  EXPECT_NE(text.find("hf_wait_seconds_count 2\n"), std::string::npos);
}

}  // namespace
}  // namespace hf
