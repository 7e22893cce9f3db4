#include "chat/render_frames.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hf::chat {
namespace {

using Size = std::uint32_t;
constexpr std::size_t kChunk = std::size_t{1} << 20U;

void append_size(std::string& out, std::size_t size) {
  const auto value = static_cast<Size>(size);
  char bytes[sizeof(Size)];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}

std::size_t size_at(std::string_view bytes) {
  Size value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::unexpected<Error> gone() {
  return fail(Errc::unavailable, "The template process ended.", std::strerror(errno));
}

std::unexpected<Error> corrupt() {
  return fail(Errc::data_corrupt, "The template process sent a broken frame.");
}

// Waits until the socket is ready or its other end is gone.
Result<void> wait_for(int descriptor, short events, FrameDeadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(Errc::deadline_exceeded, "The template took too long.");
    pollfd entry{.fd = descriptor, .events = events, .revents = 0};
    const auto wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 1'000'000));
    const auto ready = poll(&entry, 1, wait_ms);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return gone();
  }
}

Result<void> receive_exactly(int descriptor, std::string& out, std::size_t size,
                             FrameDeadline deadline) {
  out.clear();
  while (out.size() < size) {
    const auto old = out.size();
    // Grows with what has come, so that a false length costs no memory.
    out.resize(std::min(size, old + kChunk));
    const auto got = recv(descriptor, out.data() + old, out.size() - old, MSG_DONTWAIT);
    out.resize(old + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return gone();
    if (got < 0 && errno != EAGAIN && errno != EINTR) return gone();
    if (got < 0) HF_TRY_VOID(wait_for(descriptor, POLLIN, deadline));
  }
  return {};
}

Result<void> read_exactly(int descriptor, std::string& out, std::size_t size) {
  out.clear();
  while (out.size() < size) {
    const auto old = out.size();
    out.resize(std::min(size, old + kChunk));
    const auto got = read(descriptor, out.data() + old, out.size() - old);
    out.resize(old + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0 || (got < 0 && errno != EINTR)) return gone();
  }
  return {};
}

}  // namespace

std::string encode_frame(const RenderFrame& frame) {
  std::size_t size = 2;
  for (const auto& field : frame.fields) size += sizeof(Size) + field.size();
  std::string out;
  out.reserve(sizeof(Size) + size);
  append_size(out, size);
  out.push_back(static_cast<char>(frame.kind));
  out.push_back(static_cast<char>(frame.fields.size()));
  for (const auto& field : frame.fields) {
    append_size(out, field.size());
    out += field;
  }
  return out;
}

Result<RenderFrame> decode_frame(std::string_view body) {
  if (body.size() < 2) return corrupt();
  RenderFrame frame{.kind = static_cast<FrameKind>(body[0])};
  const auto count = static_cast<unsigned char>(body[1]);
  body.remove_prefix(2);
  for (unsigned i = 0; i < count; ++i) {
    if (body.size() < sizeof(Size)) return corrupt();
    const auto size = size_at(body);
    body.remove_prefix(sizeof(Size));
    if (size > body.size()) return corrupt();
    frame.fields.emplace_back(body.substr(0, size));
    body.remove_prefix(size);
  }
  if (!body.empty()) return corrupt();
  return frame;
}

Result<void> send_frame(int descriptor, const RenderFrame& frame, FrameDeadline deadline) {
  const auto bytes = encode_frame(frame);
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto count =
        send(descriptor, bytes.data() + sent, bytes.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN || errno == EINTR) {
      HF_TRY_VOID(wait_for(descriptor, POLLOUT, deadline));
    } else {
      return gone();
    }
  }
  return {};
}

Result<RenderFrame> receive_frame(int descriptor, std::size_t bytes_max, FrameDeadline deadline) {
  std::string bytes;
  HF_TRY_VOID(receive_exactly(descriptor, bytes, sizeof(Size), deadline));
  const auto size = size_at(bytes);
  if (size > bytes_max) return corrupt();
  HF_TRY_VOID(receive_exactly(descriptor, bytes, size, deadline));
  return decode_frame(bytes);
}

Result<void> write_frame(int descriptor, const RenderFrame& frame) {
  const auto bytes = encode_frame(frame);
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto count = write(descriptor, bytes.data() + sent, bytes.size() - sent);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      return gone();
    }
  }
  return {};
}

Result<RenderFrame> read_frame(int descriptor, std::size_t bytes_max) {
  std::string bytes;
  HF_TRY_VOID(read_exactly(descriptor, bytes, sizeof(Size)));
  const auto size = size_at(bytes);
  if (size > bytes_max) return corrupt();
  HF_TRY_VOID(read_exactly(descriptor, bytes, size));
  return decode_frame(bytes);
}

}  // namespace hf::chat
