#include "registry/pull_test_server.hpp"

#include <algorithm>
#include <cstdlib>
#include <format>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hf::registry {

PullTestServer::PullTestServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, raw, size) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, raw, &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] { accept_loop(); });
}

PullTestServer::~PullTestServer() {
  stopping_ = true;
  acceptor_.join();
  connections_.clear();
  ::close(listener_);
}

void PullTestServer::put(const std::string& path, TestPage page) {
  const Lock lock(mutex_);
  pages_[path] = std::move(page);
}

std::string PullTestServer::address(const std::string& path) const {
  return std::format("http://127.0.0.1:{}{}", port_, path);
}

std::vector<TestRequest> PullTestServer::requests() const {
  const Lock lock(mutex_);
  return requests_;
}

void PullTestServer::accept_loop() {
  while (!stopping_) {
    pollfd waiting{.fd = listener_, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) connections_.emplace_back([this, connection] { serve(connection); });
  }
}

void PullTestServer::serve(int connection) {
  std::string head;
  char byte = 0;
  while (!head.ends_with("\r\n\r\n") && head.size() < 16'384 &&
         ::recv(connection, &byte, 1, 0) == 1) {
    if (byte == 0x16) break;  // A TLS hello.
    head += byte;
  }
  TestRequest request;
  const auto first = head.find(' ');
  if (first != std::string::npos)
    request.target = head.substr(first + 1, head.find(' ', first + 1) - first - 1);
  for (auto at = head.find("\r\n"); at != std::string::npos && at + 4 < head.size();) {
    const auto end = head.find("\r\n", at + 2);
    const auto line = head.substr(at + 2, end - at - 2);
    const auto colon = line.find(": ");
    auto name = line.substr(0, colon);
    std::ranges::transform(name, name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (colon != std::string::npos) request.headers[name] = line.substr(colon + 2);
    at = end;
  }
  if (!head.empty()) answer(connection, request);
  ::shutdown(connection, SHUT_RDWR);
  ::close(connection);
}

void PullTestServer::answer(int connection, const TestRequest& request) {
  TestPage page{.body = "", .status = 404};
  {
    const Lock lock(mutex_);
    requests_.push_back(request);
    if (const auto found = pages_.find(request.target); found != pages_.end()) {
      page = found->second;
      if (found->second.cuts > 0 && --found->second.cuts == 0) found->second.cut_after = 0;
    }
  }
  const auto send = [&](std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  };
  std::size_t from = 0;
  auto extra = std::string();
  const auto header = [&](const std::string& name) {
    const auto found = request.headers.find(name);
    return found == request.headers.end() ? std::string() : found->second;
  };
  const auto range = header("range");
  const auto condition = header("if-range");
  if (page.status == 200 && page.ranges && range.starts_with("bytes=") &&
      (condition.empty() || condition == page.etag)) {
    from = static_cast<std::size_t>(std::strtoull(range.c_str() + 6, nullptr, 10));
    if (from >= page.body.size()) {
      page.status = 416;
      extra = std::format("Content-Range: bytes */{}\r\n", page.body.size());
      from = page.body.size();
    } else {
      page.status = 206;
      extra = std::format("Content-Range: bytes {}-{}/{}\r\n", from, page.body.size() - 1,
                          page.body.size());
    }
  }
  for (const auto& line : page.headers) extra += line + "\r\n";
  if (!page.etag.empty()) extra += "ETag: " + page.etag + "\r\n";
  const auto body = std::string_view(page.body).substr(from);
  if (!send(std::format("HTTP/1.1 {} Test\r\nContent-Type: {}\r\nContent-Length: "
                        "{}\r\n{}Connection: close\r\n\r\n",
                        page.status, page.content_type, body.size(), extra))) {
    return;
  }
  std::this_thread::sleep_for(page.pause_before_body);
  const auto wanted =
      page.cut_after == 0 ? body.size() : std::min<std::size_t>(body.size(), page.cut_after);
  for (std::size_t at = 0; at < wanted && !stopping_; at += 65'536) {
    const auto piece = body.substr(at, std::min<std::size_t>(65'536, wanted - at));
    if (!send(piece)) return;
    sent_ += piece.size();
    std::this_thread::sleep_for(page.pause_each_64k);
  }
}

}  // namespace hf::registry
