#include "inference/engine_link.hpp"

#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace hf::inference {
namespace {

constexpr int kSocketBufferBytes = 4 << 20;
constexpr std::size_t kReadBytes = 65536;

}  // namespace

EngineLink::EngineLink(int socket) : socket_(socket), chunk_(kReadBytes, '\0') {
  // As much as the system allows; what does not fit waits in memory.
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
}

EngineLink::~EngineLink() {
  ::close(socket_);
}

void EngineLink::send(const wire::ToEngine& message) {
  std::string frame;
  wire::encode(message, frame);
  send_bytes(std::move(frame));
}

void EngineLink::send_bytes(std::string frames) {
  const Lock lock(mutex_);
  waiting_.push_back(std::move(frames));
  flush_locked();
}

void EngineLink::flush() {
  const Lock lock(mutex_);
  flush_locked();
}

bool EngineLink::has_waiting() const {
  const Lock lock(mutex_);
  return !waiting_.empty();
}

void EngineLink::flush_locked() {
  while (!waiting_.empty()) {
    const auto& front = waiting_.front();
    const auto sent = ::send(socket_, front.data() + sent_of_front_, front.size() - sent_of_front_,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (sent < 0) {
      waiting_.clear();
      sent_of_front_ = 0;
      return;
    }
    sent_of_front_ += static_cast<std::size_t>(sent);
    if (sent_of_front_ < front.size()) continue;
    waiting_.pop_front();
    sent_of_front_ = 0;
  }
}

Result<wire::ToServer> EngineLink::receive() {
  for (;;) {
    const auto body = HF_TRY(reader_.next());
    if (body) return wire::decode_to_server(*body);
    const auto got = ::recv(socket_, chunk_.data(), chunk_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(Errc::unavailable, "The engine closed its socket.");
    reader_.feed(std::string_view(chunk_.data(), static_cast<std::size_t>(got)));
  }
}

void EngineLink::shut_down() const {
  ::shutdown(socket_, SHUT_RDWR);
}

}  // namespace hf::inference
