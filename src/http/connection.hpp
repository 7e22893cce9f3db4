#pragma once
// One client connection from accept to close, on one io thread.

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/mutex.hpp"
#include "http/exchange.hpp"
#include "http/request_rules.hpp"
#include "http/server.hpp"
#include "http/transport.hpp"

namespace boost::asio {
class io_context;
}

namespace hf::http {

class Connection;

/// One io thread's event loop with its connections.
struct Loop {
  Loop();
  ~Loop();
  std::unique_ptr<boost::asio::io_context> io;
  std::list<std::shared_ptr<Connection>> connections;  ///< Touched on the io thread only.
};

/// What all connections of a server share. Threads: any.
struct Site {
  Site(const ServerOptions& settings, api::Handler answer, Metrics& metrics);
  /// Counts the client in; a fault if there are too many of them, with status 0 if there is not even
  /// room for an answer. Call leave() in every case.
  std::optional<RequestFault> enter(const std::string& ip);
  void leave(const std::string& ip);
  /// Never null if options.tls.
  TlsContext tls() const;
  void set_tls(TlsContext context);

  const ServerOptions options;
  const api::Handler handler;
  std::atomic<bool> draining = false;
  std::atomic<std::int64_t> connections = 0;
  std::atomic<std::int64_t> busy = 0;  ///< Connections with a request or unsent bytes.
  Gauge& open_connections;
  Counter& handshake_failures;
  Counter& received_bytes;
  Counter& sent_bytes;
  StreamMetrics streams;

 private:
  mutable Mutex mutex_;
  TlsContext tls_ HF_GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::uint32_t> per_ip_ HF_GUARDED_BY(mutex_);
};

struct Arrival {
  int socket = -1;  ///< Connected, non-blocking; owned from here on.
  std::string ip = {};
  std::optional<RequestFault> refusal = {};  ///< Answers the first request with this, then closes.
};

/// Threads: the loop's io thread.
class Connection {
 public:
  virtual ~Connection() = default;
  /// Serves the client until it or the server ends; calls site.leave() then.
  static void open(const std::shared_ptr<Loop>& loop, const std::shared_ptr<Site>& site,
                   Arrival arrival);
  /// Applies the deadlines.
  virtual void sweep(TimePoint now) = 0;
  /// Ends it now, whatever runs.
  virtual void cut() = 0;
};

}  // namespace hf::http
