#pragma once
// Turns the bytes of one connection into checked requests. No socket. Owner: the connection.

#include <cstdint>
#include <memory>
#include <string_view>

#include "api/exchange.hpp"
#include "http/request_rules.hpp"

namespace hf::http {

struct ReaderLimits {
  std::uint64_t body_bytes_max = std::uint64_t{32} << 20U;
  std::uint32_t header_bytes_max = 32U << 10U;
  std::uint32_t header_fields_max = 128;
};

enum class Protocol : std::uint8_t { http_1_0, http_1_1 };

struct ParsedRequest {
  api::HttpRequest request;  ///< client_ip is left empty.
  Protocol protocol = Protocol::http_1_1;
  bool keep_alive = true;
};

enum class ReadState : std::uint8_t {
  between,   ///< Nothing of a request has come yet.
  header,    ///< Part of a header has come.
  body,      ///< The header is complete and good.
  complete,  ///< Call take().
  refused,   ///< See fault(); nothing more is read, ever.
};

/// Threads: one. Memory: at most one header plus one body of the limits above.
class RequestReader {
 public:
  explicit RequestReader(const ReaderLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// Takes all bytes; parses up to the end of the current request. Bytes after it are kept.
  ReadState feed(std::string_view bytes);
  /// In state complete: hands the request out and starts on the bytes kept.
  ParsedRequest take();
  [[nodiscard]] ReadState state() const;
  [[nodiscard]] const RequestFault& fault() const;
  /// In state body: the client waits for "100 Continue" before it sends any of it.
  [[nodiscard]] bool wants_continue() const;
  /// The server said "continue".
  void continued();
  /// Bytes kept for later requests.
  [[nodiscard]] std::size_t buffered_bytes() const;

 private:
  struct Parsing;
  std::unique_ptr<Parsing> parsing_;
};

}  // namespace hf::http
