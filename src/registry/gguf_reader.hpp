#pragma once
// Bounded reading of GGUF's primitive values; used by gguf_header.cpp only. One thread.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace hf::registry {

/// Reads forward through a file's head in pieces of 64 KiB and never past its end.
class GgufReader {
 public:
  /// Fills the span from the offset on; gives the bytes filled, 0 at the end of what there is.
  using Source = std::function<Result<std::size_t>(std::uint64_t offset, std::span<char>)>;

  GgufReader(Source source, std::uint64_t file_bytes)
      : source_(std::move(source)), file_bytes_(file_bytes) {}

  /// Little-endian, `width` 1, 2, 4 or 8 bytes. Errors: data_corrupt, the file ends first.
  Result<std::uint64_t> number(std::size_t width);
  Result<std::uint32_t> number32();
  /// A string's length, checked against what is left of the file.
  Result<std::uint64_t> string_length();
  /// A string of at most `limit` bytes. Errors: data_corrupt, longer.
  Result<std::string> string(std::uint64_t limit, std::string_view what);
  /// Exactly `length` bytes, which the caller has bounded.
  Result<std::string> bytes(std::uint64_t length);
  Result<void> skip(std::uint64_t length);
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t left() const { return file_bytes_ - offset_; }
  [[nodiscard]] std::uint64_t file_bytes() const { return file_bytes_; }

 private:
  Result<void> take(std::span<char> out);

  Source source_;
  std::uint64_t file_bytes_;
  std::uint64_t offset_ = 0;  // Never above file_bytes_.
  std::vector<char> buffer_ = {};
  std::uint64_t buffer_offset_ = 0;
};

}  // namespace hf::registry
