#pragma once
// What a fenced renderer and its child say to each other: a length, a kind and byte strings. Both
// ends run the same build, so the numbers are in the machine's own order.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf::chat {

enum class FrameKind : std::uint8_t { open = 1, render, rendered, failed };

struct RenderFrame {
  FrameKind kind = FrameKind::open;
  std::vector<std::string> fields = {};
};

std::string encode_frame(const RenderFrame& frame);
/// `body`: a frame without its length. Errors: data_corrupt.
Result<RenderFrame> decode_frame(std::string_view body);

using FrameDeadline = std::chrono::steady_clock::time_point;

/// Sends and receives by a deadline on a non-blocking socket.
/// Errors: deadline_exceeded; unavailable, the other end is gone; data_corrupt, more than
/// `bytes_max`.
Result<void> send_frame(int descriptor, const RenderFrame& frame, FrameDeadline deadline);
Result<RenderFrame> receive_frame(int descriptor, std::size_t bytes_max, FrameDeadline deadline);

/// The same on a blocking descriptor without deadline, with read and write alone.
Result<void> write_frame(int descriptor, const RenderFrame& frame);
Result<RenderFrame> read_frame(int descriptor, std::size_t bytes_max);

}  // namespace hf::chat
