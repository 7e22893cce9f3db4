#pragma once
// For this module's tests: a small blocking client, plain or TLS, that may misbehave, and a server
// with a handler that the tests steer. Owner: one test.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/metrics.hpp"
#include "base/mutex.hpp"
#include "http/server.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace hf::http {

struct Reply {
  int status = 0;  ///< 0: the connection ended or nothing came in time.
  std::map<std::string, std::string> headers = {};
  std::string body = {};
};

struct ClientSettings {
  bool tls = false;
  int tls_version_max = 0;       ///< 0: newest.
  std::string ca_file = {};      ///< Empty: the server is not checked.
  std::string alpn = {};         ///< In wire form.
  int receive_buffer_bytes = 0;  ///< 0: the system's default.
};

/// Every wait ends after 5 s.
class TestClient {
 public:
  explicit TestClient(std::uint16_t port, const ClientSettings& settings = {});
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  [[nodiscard]] bool connected() const { return socket_ >= 0 && tls_error_.empty(); }
  [[nodiscard]] const std::string& tls_error() const { return tls_error_; }
  [[nodiscard]] std::string alpn() const;
  [[nodiscard]] std::string server_serial() const;
  bool send(std::string_view bytes);
  /// Next bytes; nothing at the end or after `patience`.
  std::string receive(std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// Reads until `text` has come; false at the end.
  bool wait_for(std::string_view text);
  /// One whole answer; keeps what follows. `to_head`: it has no body.
  Reply reply(bool to_head = false);
  Reply ask(std::string_view bytes) { return send(bytes) ? reply() : Reply{}; }
  /// True if the server ended the connection, within 5 s.
  bool ended();
  void end_writing();    ///< FIN only.
  void close_orderly();  ///< close_notify, if TLS, and FIN.
  void close_abruptly(); ///< RST.
  [[nodiscard]] const std::string& unread() const { return unread_; }
  [[nodiscard]] int socket() const { return socket_; }

 private:
  void start_tls(const ClientSettings& settings);
  int socket_ = -1;
  ssl_ctx_st* context_ = nullptr;
  ssl_st* tls_ = nullptr;
  std::string tls_error_;
  std::string unread_;
};

/// GET of a path; `extra` are more header lines, each with its line end.
std::string get(std::string_view path, std::string_view extra = "");
std::string post(std::string_view path, std::string_view body);

/// A server on a free port. Paths: /echo answers what it got, /hold keeps the sink for the test.
class TestServer {
 public:
  using Sink = std::shared_ptr<api::ResponseSink>;
  explicit TestServer(const std::function<void(ServerOptions&)>& adjust = {});
  ~TestServer();
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  Server& server() { return *server_; }
  void stop() { server_.reset(); }
  /// The sink of the oldest /hold request; null after 5 s.
  Sink held();
  [[nodiscard]] int handled() const;
  [[nodiscard]] double connections() { return gauge("holdfast_http_connections"); }
  double gauge(std::string_view name) { return metrics_.gauge(name, "").value(); }
  double counter(std::string_view name) { return metrics_.counter(name, "").value(); }
  [[nodiscard]] const TlsFiles& files() const { return files_; }
  [[nodiscard]] std::string ca_file() const { return folder_ + "/ca.pem"; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  void answer(api::HttpRequest request, Sink sink);
  std::string folder_;
  TlsFiles files_;
  Metrics metrics_;
  mutable Mutex mutex_;
  Condition arrived_;
  std::vector<Sink> held_ HF_GUARDED_BY(mutex_);
  int handled_ HF_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Server> server_;
};

/// Waits up to 5 s for the condition.
bool eventually(const std::function<bool()>& condition);

/// Resident memory of this process.
std::size_t resident_bytes();

}  // namespace hf::http
