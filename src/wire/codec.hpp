#pragma once
// Frames: 4-byte little-endian length, 1-byte message kind, fields in declaration order. Integers
// are little-endian, strings and vectors are a 4-byte count and their items. Any thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "wire/messages.hpp"

namespace hf::wire {

/// Longest frame in bytes, length field not counted.
inline constexpr std::size_t kFrameBytesMax = std::size_t{256} << 20U;

/// Appends one whole frame.
void encode(const ToEngine& message, std::string& out);
void encode(const ToServer& message, std::string& out);

/// Decodes one frame's body (kind and fields, without length).
/// Errors: data_corrupt, unknown kind, short fields or trailing bytes.
Result<ToEngine> decode_to_engine(std::string_view body);
Result<ToServer> decode_to_server(std::string_view body);

/// Cuts a byte stream into frame bodies. Threads: one.
class FrameReader {
 public:
  void feed(std::string_view bytes);
  /// The next whole body, valid until the next call of any method; nothing if more bytes are needed.
  /// Errors: data_corrupt, the length is over kFrameBytesMax.
  Result<std::optional<std::string_view>> next();

 private:
  std::string buffer_;
  std::size_t read_ = 0;
};

}  // namespace hf::wire
