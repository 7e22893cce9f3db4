#pragma once
// One HTTP exchange as the api sees it: a request value and a sink for the answer. No socket, no
// Asio: the http module implements ResponseSink.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hf::api {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;     ///< "GET", "POST", ...
  std::string path;       ///< Percent-decoded, without query.
  std::string query;      ///< Raw, without '?'.
  Headers headers;        ///< Names in lower case.
  std::string body;
  std::string client_ip;
  std::string id;         ///< Ours, or the client's X-Request-Id if it is sane; answered back.
  /// First header of that (lower-case) name.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  Headers headers = {};
  std::string body = {};
};

enum class SinkState : std::uint8_t {
  open,
  gone,  ///< The client left, was too slow, or the server drains: stop producing.
};

/// Answers one request. Threads: any, calls may come from different threads in order; none blocks.
/// Exactly one of respond() and start_stream() is called. Destroying an unanswered sink answers 500;
/// destroying an unfinished stream cuts the connection.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  virtual void respond(HttpResponse response) = 0;
  /// Status line and headers of a chunked body; sent at once.
  virtual SinkState start_stream(int status, std::string content_type, Headers headers) = 0;
  /// Queues bytes. `gone` once the client is away or more than the configured bytes are unsent.
  virtual SinkState write(std::string bytes) = 0;
  /// Ends the body.
  virtual void finish() = 0;
  /// Called once when the client leaves before the answer is complete; on an io thread. At once, if
  /// it already left.
  virtual void on_gone(std::move_only_function<void()> callback) = 0;
};

/// Handles one request on an io thread; must not block for more than a millisecond.
using Handler = std::function<void(HttpRequest, std::shared_ptr<ResponseSink>)>;

}  // namespace hf::api
