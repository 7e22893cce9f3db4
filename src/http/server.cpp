#include "http/server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <format>
#include <string>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/log.hpp"
#include "http/connection.hpp"

namespace hf::http {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr std::uint32_t kPoliteRefusals = 64;  // Refused connections that still get an answer.
constexpr milliseconds kSweepMax{250};
constexpr milliseconds kSweepMin{5};
constexpr milliseconds kCutPatience{2000};

/// One loop with its thread and deadline sweep.
struct Worker {
  Worker() : timer(*loop->io), work(asio::make_work_guard(*loop->io)) {}
  std::shared_ptr<Loop> loop = std::make_shared<Loop>();
  asio::steady_timer timer;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::thread thread = {};
};

std::string ip_text(const sockaddr_storage& from) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  }
  const std::string_view view = text.data();
  return std::string(view.starts_with("::ffff:") && view.contains('.') ? view.substr(7) : view);
}

std::unexpected<Error> cannot_listen(const ServerOptions& options, const error_code& error) {
  const auto where = std::format("{}:{}", options.address, options.port);
  if (error == asio::error::address_in_use) {
    return fail(Errc::failed_precondition,
                "Address " + where + " is in use; stop the other program or change the port setting.");
  }
  if (error == asio::error::access_denied) {
    return fail(Errc::failed_precondition,
                "Address " + where + " is not allowed for this user; choose a port above 1023.");
  }
  return fail(Errc::failed_precondition,
              "Address " + where + " cannot be used; change the address setting to one of this host.",
              error.message());
}

class RunningServer final : public Server {
 public:
  RunningServer(const ServerOptions& options, api::Handler handler, Metrics& metrics)
      : site_(std::make_shared<Site>(options, std::move(handler), metrics)),
        lag_(metrics.histogram("holdfast_event_loop_lag_seconds",
                               "How late the event loops run their timers.",
                               {0.001, 0.005, 0.02, 0.1, 0.5, 2})) {
    for (std::uint32_t i = 0; i < std::max(1U, options.io_threads); ++i) {
      workers_.push_back(std::make_unique<Worker>());
    }
    acceptor_ = std::make_unique<Tcp::acceptor>(*workers_.front()->loop->io);
  }

  ~RunningServer() override {
    stopping_ = true;
    drain(milliseconds(0));
    for (const auto& worker : workers_) {
      asio::post(*worker->loop->io, [raw = worker.get()] { raw->timer.cancel(); });
      worker->work.reset();
    }
    for (const auto& worker : workers_) {
      if (worker->thread.joinable()) worker->thread.join();
    }
  }

  Result<void> listen() {
    const auto& options = site_->options;
    if (options.tls) HF_TRY_VOID(reload_certificate());
    error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    if (error) {
      return fail(Errc::invalid_argument, "The address setting '" + options.address +
                                              "' is not an IP address; write one, e.g. 0.0.0.0.");
    }
    const Tcp::endpoint endpoint(address, options.port);
    acceptor_->open(endpoint.protocol(), error);
    if (!error) acceptor_->set_option(asio::socket_base::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor_->set_option(asio::ip::v6_only(false), error);
    if (!error) acceptor_->bind(endpoint, error);
    if (!error) acceptor_->listen(asio::socket_base::max_listen_connections, error);
    if (!error) acceptor_->native_non_blocking(true, error);
    if (error) return cannot_listen(options, error);
    port_ = acceptor_->local_endpoint(error).port();
    return {};
  }

  void run() {
    asio::co_spawn(*workers_.front()->loop->io, accept_all(this), asio::detached);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      auto* worker = workers_[i].get();
      asio::co_spawn(*worker->loop->io, sweep_all(this, worker), asio::detached);
      worker->thread = std::thread([worker] { worker->loop->io->run(); });
      ::pthread_setname_np(worker->thread.native_handle(), ("io-" + std::to_string(i)).c_str());
    }
  }

  [[nodiscard]] std::uint16_t port() const override { return port_; }

  void drain(milliseconds patience) override {
    site_->draining = true;
    asio::post(*workers_.front()->loop->io, [this] {
      error_code ignored;
      acceptor_->close(ignored);
    });
    wait_until_zero(site_->busy, patience);
    for (const auto& worker : workers_) {
      // Not a shared pointer: a loop that never runs would own itself.
      asio::post(*worker->loop->io, [loop = worker->loop.get()] {
        for (const auto& connection : std::list(loop->connections)) connection->cut();
      });
    }
    wait_until_zero(site_->connections, kCutPatience);
  }

  Result<void> reload_certificate() override {
    if (!site_->options.tls) return {};
    site_->set_tls(HF_TRY(load_tls(site_->options.tls_files)));
    return {};
  }

 private:
  static void wait_until_zero(const std::atomic<std::int64_t>& count, milliseconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (count.load() > 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(milliseconds(2));
    }
  }

  static asio::awaitable<void> accept_all(RunningServer* self) {
    asio::steady_timer pause(*self->workers_.front()->loop->io);
    error_code error;
    while (self->acceptor_->is_open()) {
      co_await self->acceptor_->async_wait(Tcp::acceptor::wait_read,
                                           asio::redirect_error(asio::use_awaitable, error));
      if (error || !self->acceptor_->is_open()) break;
      if (self->accept_waiting()) continue;
      pause.expires_after(milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }

  /// False if the system has no room for more sockets.
  bool accept_waiting() {
    for (;;) {
      sockaddr_storage from{};
      socklen_t size = sizeof(from);
      const int socket = ::accept4(acceptor_->native_handle(), reinterpret_cast<sockaddr*>(&from),
                                   &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket >= 0) {
        take(socket, ip_text(from));
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log::warn("no more connections can be accepted: raise the limit of open files");
        return false;
      } else if (errno != ECONNABORTED && errno != EINTR) {
        return true;
      }
    }
  }

  void take(int socket, std::string ip) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    auto refusal = site_->enter(ip);
    if (refusal && refusal->status == 0) {
      site_->leave(ip);
      ::close(socket);
      return;
    }
    const auto& worker = workers_[next_worker_++ % workers_.size()];
    asio::post(*worker->loop->io,
               [loop = worker->loop, site = site_,
                arrival = Arrival{socket, std::move(ip), std::move(refusal)}]() mutable {
                 Connection::open(loop, site, std::move(arrival));
               });
  }

  [[nodiscard]] milliseconds sweep_period() const {
    const auto& o = site_->options;
    const auto shortest = std::min({o.handshake_timeout, o.header_timeout, o.body_timeout,
                                    o.idle_timeout, o.write_timeout});
    return std::clamp(shortest / 4, kSweepMin, kSweepMax);
  }

  static asio::awaitable<void> sweep_all(RunningServer* self, Worker* worker) {
    error_code error;
    const auto period = self->sweep_period();
    while (!self->stopping_.load()) {
      worker->timer.expires_after(period);
      co_await worker->timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
      const auto now = std::chrono::steady_clock::now();
      const auto late = std::chrono::duration<double>(now - worker->timer.expiry()).count();
      self->lag_.observe(std::max(0.0, late));
      auto& connections = worker->loop->connections;
      for (auto at = connections.begin(); at != connections.end();) {
        const auto connection = *at++;  // sweep() may remove it.
        connection->sweep(now);
      }
    }
  }

  const std::shared_ptr<Site> site_;
  Histogram& lag_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Tcp::acceptor> acceptor_;
  std::size_t next_worker_ = 0;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
};

}  // namespace

Site::Site(const ServerOptions& settings, api::Handler answer, Metrics& metrics)
    : options(settings), handler(std::move(answer)),
      open_connections(metrics.gauge("holdfast_http_connections", "Open client connections.")),
      handshake_failures(metrics.counter("holdfast_tls_handshake_failures_total",
                                         "TLS handshakes that failed or took too long.")),
      received_bytes(metrics.counter("holdfast_http_received_bytes_total",
                                     "Bytes received from clients, without TLS.")),
      sent_bytes(metrics.counter("holdfast_http_sent_bytes_total",
                                 "Bytes sent to clients, without TLS.")),
      streams{metrics.gauge("holdfast_streams_active", "Streamed answers that are running."),
              metrics.counter("holdfast_stream_client_aborts_total",
                              "Streamed answers whose client left or was too slow.")} {}

std::optional<RequestFault> Site::enter(const std::string& ip) {
  const auto all = ++connections;
  open_connections.add(1);
  const Lock lock(mutex_);
  const auto same = ++per_ip_[ip];
  const auto most = std::int64_t{options.connections_max} + kPoliteRefusals;
  if (all > most || same > options.connections_per_ip_max + kPoliteRefusals) {
    return RequestFault{.status = 0};
  }
  if (all > options.connections_max) {
    return RequestFault{503, "too_many_connections",
                        "The server has too many connections; try again in a moment."};
  }
  if (same > options.connections_per_ip_max) {
    return RequestFault{429, "too_many_connections",
                        "Your address has too many connections; close some and try again."};
  }
  return std::nullopt;
}

void Site::leave(const std::string& ip) {
  {
    const Lock lock(mutex_);
    const auto found = per_ip_.find(ip);
    if (found != per_ip_.end() && --found->second == 0) per_ip_.erase(found);
  }
  open_connections.add(-1);
  --connections;
}

TlsContext Site::tls() const {
  const Lock lock(mutex_);
  return tls_;
}

void Site::set_tls(TlsContext context) {
  const Lock lock(mutex_);
  tls_ = std::move(context);
}

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options, api::Handler handler,
                                              Metrics& metrics) {
  auto server = std::make_unique<RunningServer>(options, std::move(handler), metrics);
  HF_TRY_VOID(server->listen());
  server->run();
  return server;
}

}  // namespace hf::http
