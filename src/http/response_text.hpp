#pragma once
// Writes response headers, chunks and error bodies. Pure functions, any thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "api/exchange.hpp"
#include "http/request_rules.hpp"

namespace hf::http {

enum class BodyFraming : std::uint8_t {
  length,   ///< Content-Length.
  chunked,  ///< Transfer-Encoding: chunked.
  close,    ///< The end of the connection ends the body (HTTP/1.0 streams).
  none,     ///< 1xx, 204, 304.
};

enum class Afterwards : std::uint8_t { keep, close };

struct ResponseHead {
  int status = 200;
  std::string_view content_type = {};
  std::string_view request_id = {};
  BodyFraming framing = BodyFraming::length;
  std::size_t body_bytes = 0;
  Afterwards afterwards = Afterwards::keep;
  bool http_1_0 = false;
  bool over_tls = false;
};

/// Status line, headers and the empty line. Headers of `extra` that would break the framing or hold
/// line ends are left out; Cache-Control: no-store is added unless `extra` has its own.
std::string head_text(const ResponseHead& head, const api::Headers& extra);

/// Appends `bytes` as one chunk; nothing for no bytes, which would end the body.
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// {"error":{"message","type","param":null,"code"}}
std::string error_body(const RequestFault& fault);

/// An answer for a request that no handler sees; 429 and 503 carry Retry-After.
api::HttpResponse error_response(const RequestFault& fault);

}  // namespace hf::http
