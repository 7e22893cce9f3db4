#pragma once
// Writes small GGUF files for tests, right or wrong as asked. One thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hf::registry {

class GgufBuilder {
 public:
  static std::string number(std::uint64_t value, std::size_t width) {
    std::string raw;
    for (std::size_t i = 0; i < width; ++i) raw += static_cast<char>(value >> (8 * i) & 0xffU);
    return raw;
  }
  static std::string string(std::string_view text) {
    return number(text.size(), 8) + std::string(text);
  }

  GgufBuilder& text(std::string_view key, std::string_view value) {
    return entry(string(key) + number(8, 4) + string(value));
  }
  GgufBuilder& u32(std::string_view key, std::uint32_t value) {
    return entry(string(key) + number(4, 4) + number(value, 4));
  }
  GgufBuilder& flag(std::string_view key, std::uint8_t value) {
    return entry(string(key) + number(7, 4) + number(value, 1));
  }
  GgufBuilder& texts(std::string_view key, const std::vector<std::string>& values) {
    std::string raw = string(key) + number(9, 4) + number(8, 4) + number(values.size(), 8);
    for (const auto& value : values) raw += string(value);
    return entry(raw);
  }
  GgufBuilder& u32s(std::string_view key, const std::vector<std::uint32_t>& values) {
    std::string raw = string(key) + number(9, 4) + number(4, 4) + number(values.size(), 8);
    for (const auto value : values) raw += number(value, 4);
    return entry(raw);
  }
  /// Any bytes as one key with its value.
  GgufBuilder& entry(const std::string& raw) {
    metadata_ += raw;
    ++keys_;
    return *this;
  }
  /// An F32 matrix, placed after the ones before it.
  GgufBuilder& tensor(std::string_view name, std::uint64_t rows, std::uint64_t columns) {
    table_ += string(name) + number(2, 4) + number(columns, 8) + number(rows, 8) + number(0, 4) +
              number(data_bytes_, 8);
    ++tensors_;
    data_bytes_ += (rows * columns * 4 + 31) / 32 * 32;
    return *this;
  }
  [[nodiscard]] std::string build(std::uint32_t version = 3) const {
    auto file =
        "GGUF" + number(version, 4) + number(tensors_, 8) + number(keys_, 8) + metadata_ + table_;
    file.resize((file.size() + 31) / 32 * 32, '\0');
    for (std::uint64_t i = 0; i < data_bytes_; ++i) file += static_cast<char>(i * 31 % 251);
    return file;
  }

 private:
  std::string metadata_ = {};
  std::string table_ = {};
  std::uint64_t keys_ = 0;
  std::uint64_t tensors_ = 0;
  std::uint64_t data_bytes_ = 0;
};

/// A llama-like model of two layers; `salt` makes files differ.
inline GgufBuilder small_model(std::string_view salt = "") {
  GgufBuilder builder;
  builder.text("general.architecture", "llama")
      .text("general.name", std::string("Tiny") + std::string(salt))
      .text("general.license", "apache-2.0")
      .u32("general.file_type", 15)
      .u32("llama.context_length", 2048)
      .u32("llama.block_count", 2)
      .u32("llama.embedding_length", 64)
      .u32("llama.feed_forward_length", 128)
      .u32("llama.attention.head_count", 8)
      .u32("llama.attention.head_count_kv", 2)
      .texts("tokenizer.ggml.tokens", {"a", "b", "c"})
      .text("tokenizer.chat_template", "{{ messages }}")
      .tensor("token_embd.weight", 3, 64)
      .tensor("blk.0.attn_q.weight", 64, 64);
  return builder;
}

}  // namespace hf::registry
