#include "wire/channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hf::wire {

Channel::~Channel() { ::close(socket_); }

Result<void> Channel::send_bytes(std::string_view frames) {
  const Lock lock(write_mutex_);
  while (!frames.empty()) {
    const auto sent = ::send(socket_, frames.data(), frames.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return fail(Errc::unavailable, "The other process is gone.", std::strerror(errno));
    frames.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::string_view> Channel::receive_body() {
  std::array<char, 65536> chunk;
  for (;;) {
    const auto body = HF_TRY(reader_.next());
    if (body) return *body;
    const auto got = ::recv(socket_, chunk.data(), chunk.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(Errc::unavailable, "The other process is gone.");
    reader_.feed({chunk.data(), static_cast<std::size_t>(got)});
  }
}

Result<ToEngine> Channel::receive_to_engine() { return decode_to_engine(HF_TRY(receive_body())); }
Result<ToServer> Channel::receive_to_server() { return decode_to_server(HF_TRY(receive_body())); }

void Channel::shut_down() { ::shutdown(socket_, SHUT_RDWR); }

Result<SocketPair> make_socket_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(Errc::internal, "No socket pair to be had; raise the descriptor limit.",
                std::strerror(errno));
  }
  ::fcntl(ends[1], F_SETFD, 0);
  return SocketPair{ends[0], ends[1]};
}

}  // namespace hf::wire
