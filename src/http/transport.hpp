#pragma once
// Reads and writes one connected, non-blocking socket, plain or TLS 1.3, without waiting. TLS works
// straight on the socket, so an idle stream holds no record buffers. Owner: the connection.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/server.hpp"

struct ssl_ctx_st;
struct ssl_st;

namespace hf::http {

/// A certificate with its key and our protocol settings. Threads: any, once made.
using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// TLS 1.3 only, ALPN http/1.1. Errors: invalid_argument, a file is missing, unreadable, not PEM, or
/// the key does not belong to the certificate.
Result<TlsContext> load_tls(const TlsFiles& files);

enum class IoStatus : std::uint8_t {
  done,        ///< `bytes` were moved (at least 1, but for handshake()).
  want_read,   ///< Again when the socket is readable.
  want_write,  ///< Again when the socket is writable.
  ended,       ///< The peer's orderly end: FIN without TLS, close_notify with TLS.
  failed,      ///< Reset, broken TLS, or the end of the socket in the middle of TLS.
};

struct IoStep {
  IoStatus status = IoStatus::failed;
  std::size_t bytes = 0;
};

/// Threads: one. The socket must outlive it; it does not close the socket.
class Transport {
 public:
  /// `context` null: plain.
  Transport(int socket, const TlsContext& context);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  [[nodiscard]] bool secure() const { return tls_ != nullptr; }
  IoStep handshake();
  IoStep read(std::span<char> into);
  /// After want_*: call again with text that starts with the same bytes.
  IoStep write(std::string_view text);
  /// Bytes wait inside TLS although the socket may have none.
  [[nodiscard]] bool has_pending() const;
  /// Sends close_notify, if any, and FIN; reading stays possible.
  void end_writing();
  /// Reads and drops what the peer still sends, below TLS.
  IoStep discard();
  /// First byte that the peer sent, without taking it.
  IoStep peek(char& first) const;
  /// Why the handshake failed, for logs.
  static std::string last_tls_error();

 private:
  int socket_;
  ssl_st* tls_ = nullptr;
};

}  // namespace hf::http
