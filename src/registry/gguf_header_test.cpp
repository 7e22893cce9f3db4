#include "registry/gguf_header.hpp"

#include <random>

#include <gtest/gtest.h>

#include "registry/gguf_builder.hpp"

namespace hf::registry {
namespace {

Result<GgufHeader> parse_whole(const std::string& file) {
  return parse_gguf_header(file, file.size());
}

TEST(GgufHeader, tells_what_the_file_says) {
  const auto file = small_model().build();
  const auto header = parse_whole(file);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->architecture, "llama");
  EXPECT_EQ(header->name, "Tiny");
  EXPECT_EQ(header->licence, "apache-2.0");
  EXPECT_EQ(header->file_type, "Q4_K_M");
  EXPECT_EQ(header->context_tokens, 2048u);
  EXPECT_EQ(header->layers, 2u);
  EXPECT_EQ(header->kv_heads, (std::vector<std::uint32_t>{2, 2}));
  EXPECT_EQ(header->key_size, 8u);
  EXPECT_EQ(header->value_size, 8u);
  EXPECT_EQ(header->vocabulary, 3u);
  EXPECT_GT(header->chat_template_bytes, 0u);
  EXPECT_EQ(header->parameters, 3u * 64 + 64 * 64);
  EXPECT_EQ(header->tensor_bytes, header->parameters * 4);
  EXPECT_EQ(model_kind(*header), "chat");
}

TEST(GgufHeader, tells_encoders_rerankers_and_adapters_apart) {
  GgufBuilder encoder;
  encoder.text("general.architecture", "bert")
      .flag("bert.attention.causal", 0)
      .u32("bert.pooling_type", 2);
  const auto embedding = parse_whole(encoder.build());
  ASSERT_TRUE(embedding);
  EXPECT_EQ(embedding->pooling, "cls");
  EXPECT_EQ(model_kind(*embedding), "embedding");
  encoder.tensor("cls.output.weight", 1, 8);
  EXPECT_EQ(model_kind(*parse_whole(encoder.build())), "rerank");
  GgufBuilder adapter;
  adapter.text("general.architecture", "llama")
      .text("general.type", "adapter")
      .text("adapter.type", "lora")
      .text("general.base_model.0.name", "Tiny");
  const auto lora = parse_whole(adapter.build());
  ASSERT_TRUE(lora);
  EXPECT_EQ(model_kind(*lora), "adapter");
  EXPECT_EQ(lora->base_model, "Tiny");
}

TEST(GgufHeader, refuses_a_piece_of_a_split_model_and_says_how_to_join) {
  auto builder = small_model();
  builder.u32("split.count", 3);
  const auto refused = parse_whole(builder.build());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unimplemented);
  EXPECT_NE(refused.error().message.find("--merge"), std::string::npos);
}

TEST(GgufHeader, refuses_every_truncation_as_corrupt) {
  const auto file = small_model().build();
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto refused = parse_gguf_header(std::string_view(file).substr(0, size), size);
    ASSERT_FALSE(refused) << size;
    ASSERT_EQ(refused.error().code, Errc::data_corrupt) << size << refused.error().message;
  }
}

TEST(GgufHeader, refuses_counts_that_the_file_cannot_hold) {
  const auto file = small_model().build();
  for (const std::size_t at : {8U, 16U}) {  // Tensor count, key count.
    for (const auto count : {std::uint64_t{1} << 63U, ~std::uint64_t{0}, std::uint64_t{60'000}}) {
      auto hostile = file;
      hostile.replace(at, 8, GgufBuilder::number(count, 8));
      const auto refused = parse_whole(hostile);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, Errc::data_corrupt);
    }
  }
  using B = GgufBuilder;
  for (const auto& raw :
       {B::string("x") + B::number(9, 4) + B::number(8, 4) + B::number(~0ULL, 8),         // strings
        B::string("x") + B::number(9, 4) + B::number(10, 4) + B::number(1ULL << 61U, 8),  // u64s
        B::string("x") + B::number(9, 4) + B::number(9, 4) + B::number(1, 8),             // nested
        B::string("x") + B::number(8, 4) + B::number(~0ULL, 8),                           // text
        B::string("x") + B::number(77, 4), B::number(1ULL << 40U, 8)}) {
    auto builder = small_model();
    builder.entry(raw);
    const auto refused = parse_whole(builder.build());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::data_corrupt);
  }
}

TEST(GgufHeader, refuses_tensors_that_overflow_or_repeat) {
  for (const auto extent : {~std::uint64_t{0}, std::uint64_t{1} << 33U, std::uint64_t{0}}) {
    auto builder = small_model();
    builder.tensor("x", 1, 1);
    auto file = builder.build();
    const auto at = file.find(GgufBuilder::string("x") + GgufBuilder::number(2, 4)) + 9 + 4;
    file.replace(at, 16, GgufBuilder::number(extent, 8) + GgufBuilder::number(extent, 8));
    const auto refused = parse_whole(file);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::data_corrupt);
  }
  auto twice = small_model();
  twice.tensor("token_embd.weight", 1, 8);
  EXPECT_FALSE(parse_whole(twice.build()));
}

TEST(GgufHeader, says_which_version_it_wants) {
  for (const std::uint32_t version : {0U, 1U, 4U, 0x03000000U}) {
    const auto refused = parse_whole(small_model().build(version));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unimplemented);
  }
  EXPECT_TRUE(parse_whole(small_model().build(2)));
}

// Property: whatever bytes change, reading gives a header within the file's bounds or an error.
TEST(GgufHeader, survives_random_damage) {
  const auto file = small_model().build();
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    auto damaged = file;
    for (int change = 0; change < 3; ++change)
      damaged[random() % 700] = static_cast<char>(random());
    const auto header = parse_whole(damaged);
    if (header) {
      ASSERT_LE(header->tensor_bytes, damaged.size());
    }
  }
}

TEST(MemoryEstimate, follows_its_formula) {
  GgufHeader header{.tensor_bytes = 1000,
                    .layers = 2,
                    .embedding_size = 64,
                    .feed_forward_size = 128,
                    .kv_heads = {2, 4},
                    .key_size = 16,
                    .value_size = 16,
                    .vocabulary = 100};
  const auto f16 = memory_estimate(header, 10, "f16");
  ASSERT_TRUE(f16);
  EXPECT_EQ(f16->weights, 1000u);
  EXPECT_EQ(f16->kv, 10u * (2 + 4) * 32 * 2);
  EXPECT_EQ(f16->compute,
            512u * 4 * (8 * 64 + 3 * 128) + 256 * 4 * 100 + 512 * 10 * 2 + (16U << 20U));
  EXPECT_EQ(memory_estimate(header, 10, "q8_0")->kv, 10u * (6 * 32 * 34 / 32));
  header.kv_latent_size = 576;
  EXPECT_EQ(memory_estimate(header, 10, "f16")->kv, 10u * 2 * 576 * 2);
  header.causal = false;
  EXPECT_EQ(memory_estimate(header, 10, "f16")->kv, 0u);
  EXPECT_EQ(memory_estimate(header, 10, "f12").error().code, Errc::invalid_argument);
}

TEST(MemoryEstimate, saturates_instead_of_wrapping) {
  const GgufHeader header{.tensor_bytes = 1,
                          .kv_heads = {1U << 20U},
                          .key_size = 1U << 20U,
                          .value_size = 1U << 20U,
                          .vocabulary = ~std::uint64_t{0}};
  EXPECT_GT(memory_estimate(header, ~std::uint64_t{0}, "f32")->total(), std::uint64_t{1} << 60U);
}

}  // namespace
}  // namespace hf::registry
