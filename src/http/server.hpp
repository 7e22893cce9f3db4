#pragma once
// HTTPS listener (HTTP/1.1, TLS 1.3) on Boost.Beast and Asio, behind plain types. Own io threads.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/exchange.hpp"
#include "base/metrics.hpp"
#include "base/result.hpp"

namespace hf::http {

struct TlsFiles {
  std::string certificate_file;  ///< PEM chain.
  std::string key_file;          ///< PEM.
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8443;             ///< 0: any free one.
  bool tls = true;                       ///< False only for tests and behind a local proxy.
  TlsFiles tls_files = {};
  std::uint32_t io_threads = 1;
  std::uint64_t body_bytes_max = std::uint64_t{32} << 20U;   ///< 413 above.
  std::uint32_t header_bytes_max = 32U << 10U;               ///< 431 above.
  std::uint32_t connections_max = 10'000;
  std::uint32_t connections_per_ip_max = 1'000;
  std::uint64_t unsent_bytes_max = std::uint64_t{1} << 20U;  ///< A slower reader is cut off.
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds header_timeout{15'000};    ///< First byte to end of headers.
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds idle_timeout{120'000};     ///< Between requests of a connection.
  std::chrono::milliseconds write_timeout{30'000};     ///< A write that makes no progress.
  std::uint32_t pipelined_max = 32;                    ///< Requests read ahead on one connection.
};

/// Threads: any. Handlers run on the io threads.
class Server {
 public:
  /// Binds and starts. Errors: failed_precondition, address in use or not ours; invalid_argument,
  /// certificate or key unusable. The message says which setting to change.
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options, api::Handler handler,
                                               Metrics& metrics);
  virtual ~Server() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// Stops accepting, answers 503 on new requests of open connections, lets running exchanges end
  /// for up to `patience`, then cuts them. Blocks.
  virtual void drain(std::chrono::milliseconds patience) = 0;
  /// Certificate and key again from their files; open connections keep theirs.
  virtual Result<void> reload_certificate() = 0;
};

/// Makes a private CA and a server certificate in `folder` unless they are there (and still valid
/// for 30 days): ca.pem, ca.key (0600), server.pem, server.key (0600). ECDSA P-256.
/// `names`: DNS names and IP addresses for the certificate; localhost and 127.0.0.1, ::1 are added.
Result<TlsFiles> ensure_certificates(const std::string& folder, const std::vector<std::string>& names);

}  // namespace hf::http
