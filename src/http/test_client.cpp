#include "http/test_client.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <format>
#include <fstream>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hf::http {

TestClient::TestClient(std::uint16_t port, const ClientSettings& settings) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (settings.receive_buffer_bytes > 0) {
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &settings.receive_buffer_bytes, sizeof(int));
  }
  const timeval patience{5, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    ::close(std::exchange(socket_, -1));
    return;
  }
  if (settings.tls) start_tls(settings);
}

void TestClient::start_tls(const ClientSettings& settings) {
  context_ = SSL_CTX_new(TLS_client_method());
  if (settings.tls_version_max != 0) {
    SSL_CTX_set_max_proto_version(context_, settings.tls_version_max);
  }
  if (!settings.ca_file.empty()) {
    SSL_CTX_load_verify_file(context_, settings.ca_file.c_str());
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
  }
  tls_ = SSL_new(context_);
  if (!settings.ca_file.empty()) SSL_set1_host(tls_, "localhost");
  if (!settings.alpn.empty()) {
    SSL_set_alpn_protos(tls_, reinterpret_cast<const unsigned char*>(settings.alpn.data()),
                        static_cast<unsigned>(settings.alpn.size()));
  }
  SSL_set_fd(tls_, socket_);
  ERR_clear_error();
  if (SSL_connect(tls_) == 1) return;
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  tls_error_ = text.data();
}

TestClient::~TestClient() {
  SSL_free(tls_);
  SSL_CTX_free(context_);
  if (socket_ >= 0) ::close(socket_);
}

std::string TestClient::alpn() const {
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(tls_, &chosen, &size);
  return {reinterpret_cast<const char*>(chosen), size};
}

std::string TestClient::server_serial() const {
  char* text = i2s_ASN1_INTEGER(nullptr, X509_get_serialNumber(SSL_get0_peer_certificate(tls_)));
  std::string serial = text;
  OPENSSL_free(text);
  return serial;
}

bool TestClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto moved = tls_ != nullptr
                           ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                           : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (moved <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(moved));
  }
  return true;
}

std::string TestClient::receive(std::chrono::milliseconds patience) {
  // TLS may bring bytes that are no data (a session ticket), so one wake-up is not always enough.
  const auto until = std::chrono::steady_clock::now() + patience;
  std::array<char, 16384> buffer;
  const int flags = ::fcntl(socket_, F_GETFL);
  for (;;) {
    ::fcntl(socket_, F_SETFL, flags | O_NONBLOCK);
    const auto moved = tls_ != nullptr
                           ? SSL_read(tls_, buffer.data(), static_cast<int>(buffer.size()))
                           : ::recv(socket_, buffer.data(), buffer.size(), 0);
    const bool again = tls_ != nullptr ? SSL_get_error(tls_, static_cast<int>(moved)) ==
                                             SSL_ERROR_WANT_READ
                                       : moved < 0 && errno == EAGAIN;
    ::fcntl(socket_, F_SETFL, flags);
    if (moved > 0) return {buffer.data(), static_cast<std::size_t>(moved)};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    pollfd waiting{socket_, POLLIN, 0};
    if (!again || left.count() <= 0) return "";
    ::poll(&waiting, 1, static_cast<int>(left.count()));
  }
}

bool TestClient::wait_for(std::string_view text) {
  while (!unread_.contains(text)) {
    const auto more = receive();
    if (more.empty()) return false;
    unread_ += more;
  }
  return true;
}

Reply TestClient::reply(bool to_head) {
  Reply reply;
  if (!wait_for("\r\n\r\n")) return reply;
  const auto end = unread_.find("\r\n\r\n");
  auto head = unread_.substr(0, end + 2);
  unread_.erase(0, end + 4);
  reply.status = std::stoi(head.substr(9, 3));
  for (auto at = head.find("\r\n") + 2; at < head.size();) {
    const auto line = head.substr(at, head.find("\r\n", at) - at);
    at += line.size() + 2;
    const auto colon = line.find(": ");
    reply.headers[line.substr(0, colon)] = line.substr(colon + 2);
  }
  if (to_head) return reply;
  if (reply.headers.contains("transfer-encoding")) {
    if (!wait_for("0\r\n\r\n")) return {};
    while (true) {
      const auto line = unread_.find("\r\n");
      const auto size = std::stoul(unread_.substr(0, line), nullptr, 16);
      reply.body += unread_.substr(line + 2, size);
      unread_.erase(0, line + 4 + size);
      if (size == 0) return reply;
    }
  }
  const auto found = reply.headers.find("content-length");
  const auto size = found == reply.headers.end() ? 0 : std::stoul(found->second);
  while (unread_.size() < size) {
    const auto more = receive();
    if (more.empty()) return {};
    unread_ += more;
  }
  reply.body = unread_.substr(0, size);
  unread_.erase(0, size);
  return reply;
}

bool TestClient::ended() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (std::chrono::steady_clock::now() < until) {
    const auto more = receive(std::chrono::milliseconds(50));
    unread_ += more;
    if (!more.empty()) continue;
    char byte = 0;
    const auto seen = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (seen == 0 || (seen < 0 && errno == ECONNRESET)) return true;
  }
  return false;
}

void TestClient::end_writing() { ::shutdown(socket_, SHUT_WR); }

void TestClient::close_orderly() {
  if (tls_ != nullptr) SSL_shutdown(tls_);
  ::close(std::exchange(socket_, -1));
}

void TestClient::close_abruptly() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  ::close(std::exchange(socket_, -1));
}

std::string get(std::string_view path, std::string_view extra) {
  return std::format("GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", path, extra);
}

std::string post(std::string_view path, std::string_view body) {
  return std::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}", path,
                     body.size(), body);
}

TestServer::TestServer(const std::function<void(ServerOptions&)>& adjust) {
  folder_ = (std::filesystem::temp_directory_path() / "holdfast-http-XXXXXX").string();
  HF_ASSERT(::mkdtemp(folder_.data()) != nullptr);
  ServerOptions options{.port = 0, .tls = false};
  if (adjust) adjust(options);
  if (options.tls) {
    auto files = ensure_certificates(folder_, {});
    HF_ASSERT(files.has_value());
    files_ = options.tls_files = *files;
  }
  auto server = Server::start(
      options,
      [this](api::HttpRequest request, Sink sink) { answer(std::move(request), std::move(sink)); },
      metrics_);
  if (!server) std::fprintf(stderr, "%s\n", server.error().message.c_str());
  HF_ASSERT(server.has_value());
  server_ = *std::move(server);
}

TestServer::~TestServer() {
  server_.reset();
  std::filesystem::remove_all(folder_);
}

void TestServer::answer(api::HttpRequest request, Sink sink) {
  {
    const Lock lock(mutex_);
    ++handled_;
    if (request.path == "/hold") {
      held_.push_back(std::move(sink));
      arrived_.notify_all();
      return;
    }
  }
  sink->respond({.content_type = "text/plain",
                 .body = std::format("{} {}?{} {}", request.method, request.path, request.query,
                                     request.body)});
}

TestServer::Sink TestServer::held() {
  Lock lock(mutex_);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (held_.empty()) {
    if (arrived_.wait_until(lock, until) == std::cv_status::timeout) return nullptr;
  }
  auto sink = held_.front();
  held_.erase(held_.begin());
  return sink;
}

int TestServer::handled() const {
  const Lock lock(mutex_);
  return handled_;
}

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace hf::http
