#include "http/connection.hpp"

#include <array>
#include <deque>
#include <exception>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"

namespace hf::http {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr std::size_t kKeptCapacity = 4096;                       // Of an idle output buffer.
constexpr std::size_t kPipelineBacklog = std::size_t{64} << 10U;  // Unsent answers before the next.
constexpr std::chrono::seconds kLinger{2};
constexpr char kTlsHandshakeRecord = 0x16;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

class OpenConnection final : public Connection,
                             public std::enable_shared_from_this<OpenConnection> {
 public:
  OpenConnection(std::shared_ptr<Loop> loop, std::shared_ptr<Site> site, Arrival arrival)
      : loop_(std::move(loop)), site_(std::move(site)), ip_(std::move(arrival.ip)),
        refusal_(std::move(arrival.refusal)),
        socket_(*loop_->io, Tcp::v4(), arrival.socket),
        reader_({.body_bytes_max = site_->options.body_bytes_max,
                 .header_bytes_max = site_->options.header_bytes_max}),
        since_(std::chrono::steady_clock::now()) {}

  void start() {
    const auto tls = site_->options.tls ? site_->tls() : nullptr;
    transport_ = std::make_unique<Transport>(socket_.native_handle(), tls);
    stage_ = tls ? Stage::handshake : Stage::serving;
    outbox_ = std::make_shared<Outbox>(
        [loop = loop_](std::move_only_function<void()> work) {
          asio::post(*loop->io, std::move(work));
        },
        [weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->turn();
        },
        site_->options.unsent_bytes_max);
    here_ = loop_->connections.insert(loop_->connections.end(), shared_from_this());
    resume_reading();
  }

  void sweep(TimePoint now) override;
  void cut() override { close(); }

 private:
  enum class Stage : std::uint8_t {
    handshake,
    serving,
    closing,    // The last answer is on its way out.
    lingering,  // All is sent; the client may still be sending.
    closed,
  };

  static asio::awaitable<void> read_all(std::shared_ptr<OpenConnection> self);
  static asio::awaitable<void> write_later(std::shared_ptr<OpenConnection> self, IoStatus wanted);
  static asio::awaitable<void> watch_for_reset(std::shared_ptr<OpenConnection> self);

  IoStep step();
  IoStep first_step();
  void on_input(std::string_view bytes);
  void on_end();
  void resume_reading();
  [[nodiscard]] bool paused() const;

  void turn();
  void advance();
  [[nodiscard]] bool can_advance() const;
  void answer_next();
  void call_handler(ParsedRequest parsed);
  void refuse(const RequestFault& fault, const std::string& request_id);
  bool take_news();
  void write_some();
  void settle();
  void linger();
  void close();

  [[nodiscard]] bool idle() const {
    return !answering_ && next_.empty() && reader_.state() != ReadState::refused && out_.empty();
  }

  const std::shared_ptr<Loop> loop_;
  const std::shared_ptr<Site> site_;
  const std::string ip_;
  std::optional<RequestFault> refusal_;
  Tcp::socket socket_;
  std::unique_ptr<Transport> transport_ = {};
  std::shared_ptr<Outbox> outbox_ = {};
  std::list<std::shared_ptr<Connection>>::iterator here_ = {};

  Stage stage_ = Stage::handshake;
  RequestReader reader_;
  std::deque<ParsedRequest> next_ = {};     // Complete, not yet given to the handler.
  std::weak_ptr<Exchange> exchange_ = {};   // The running one.
  bool answering_ = false;                  // One runs; its answer is not complete.
  bool reading_ = false;
  bool input_ended_ = false;
  bool in_turn_ = false;
  bool write_blocked_ = false;
  bool counted_busy_ = false;
  std::string out_ = {};   // Bytes to send; the first sent_ of them are sent.
  std::size_t sent_ = 0;
  TimePoint since_;        // Start of the stage, or of the reader's state.
  TimePoint progress_{};   // Last write that moved something.
  ReadState timed_ = ReadState::between;  // The reader's state that since_ belongs to.
};

// --- reading

bool OpenConnection::paused() const {
  return stage_ == Stage::serving && reader_.state() == ReadState::complete;
}

void OpenConnection::resume_reading() {
  if (reading_ || input_ended_ || stage_ == Stage::closed || paused()) return;
  reading_ = true;
  asio::co_spawn(*loop_->io, read_all(shared_from_this()), asio::detached);
}

// One buffer a thread: what is read is used up before the next suspension.
std::span<char> read_buffer() {
  thread_local std::unique_ptr<std::array<char, kReadBytes>> buffer =
      std::make_unique<std::array<char, kReadBytes>>();
  return *buffer;
}

asio::awaitable<void> OpenConnection::read_all(std::shared_ptr<OpenConnection> self) {
  auto wait = Tcp::socket::wait_read;
  bool more = self->transport_->has_pending();
  error_code error;
  while (self->stage_ != Stage::closed && !self->input_ended_ && !self->paused()) {
    if (!more) {
      co_await self->socket_.async_wait(wait, asio::redirect_error(asio::use_awaitable, error));
    }
    if (error) self->close();
    if (self->stage_ == Stage::closed) break;
    const auto moved = self->step();
    wait = moved.status == IoStatus::want_write ? Tcp::socket::wait_write : Tcp::socket::wait_read;
    // Pending bytes may be part of a record: only after progress are they worth another step.
    more = moved.status == IoStatus::done && self->transport_->has_pending();
    if (moved.status == IoStatus::ended) self->on_end();
    if (moved.status == IoStatus::failed) self->close();
  }
  self->reading_ = false;
  self->resume_reading();
}

/// Moves what one wake-up brings.
IoStep OpenConnection::step() {
  if (stage_ == Stage::handshake) return first_step();
  if (stage_ == Stage::lingering) return transport_->discard();
  const auto buffer = read_buffer();
  const auto moved = transport_->read(buffer);
  if (moved.status == IoStatus::done) {
    site_->received_bytes.add(static_cast<double>(moved.bytes));
    on_input({buffer.data(), moved.bytes});
  }
  return moved;
}

IoStep OpenConnection::first_step() {
  char first = 0;
  // Only a first record can be anything but TLS; later ones are the handshake's own business.
  if (timed_ == ReadState::between) {
    const auto seen = transport_->peek(first);
    if (seen.status != IoStatus::done) {
      return seen.status == IoStatus::ended ? IoStep{IoStatus::failed} : seen;
    }
    timed_ = ReadState::header;
    if (first != kTlsHandshakeRecord) {
      transport_ = std::make_unique<Transport>(socket_.native_handle(), nullptr);
      stage_ = Stage::serving;
      refuse({400, "https_required", "This port speaks HTTPS; use an https:// address."}, "");
      turn();
      return {IoStatus::done};
    }
  }
  const auto moved = transport_->handshake();
  if (moved.status == IoStatus::done) {
    stage_ = Stage::serving;
    since_ = std::chrono::steady_clock::now();
    timed_ = ReadState::between;
  } else if (moved.status == IoStatus::failed || moved.status == IoStatus::ended) {
    site_->handshake_failures.add();
    log::debug("TLS handshake with {} failed: {}", ip_, Transport::last_tls_error());
    linger();  // The alert must reach the client.
    return {IoStatus::done};
  }
  return moved;
}

void OpenConnection::on_input(std::string_view bytes) {
  if (stage_ != Stage::serving) return;
  reader_.feed(bytes);
  turn();
}

// A FIN without TLS may be a client that only ended its own side: it still gets its answer. With TLS
// close_notify or the end of the socket means that the client is away.
void OpenConnection::on_end() {
  input_ended_ = true;
  if (transport_->secure() || stage_ == Stage::lingering || idle()) return close();
  asio::co_spawn(*loop_->io, watch_for_reset(shared_from_this()), asio::detached);
}

asio::awaitable<void> OpenConnection::watch_for_reset(std::shared_ptr<OpenConnection> self) {
  error_code error;
  co_await self->socket_.async_wait(Tcp::socket::wait_error,
                                    asio::redirect_error(asio::use_awaitable, error));
  if (!error) self->close();
}

// --- answering

/// Does everything that can be done without waiting.
void OpenConnection::turn() {
  if (stage_ == Stage::closed || std::exchange(in_turn_, true)) return;
  const auto self = shared_from_this();
  do {
    outbox_->begin_turn();
    do {
      advance();
    } while (take_news());
    write_some();
  } while (can_advance());
  in_turn_ = false;
  settle();
}

bool OpenConnection::can_advance() const {
  if (stage_ != Stage::serving || answering_ || out_.size() - sent_ > kPipelineBacklog) return false;
  return !next_.empty() || reader_.state() == ReadState::complete ||
         reader_.state() == ReadState::refused || reader_.wants_continue();
}

/// Gives requests to the handler while none runs.
void OpenConnection::advance() {
  if (stage_ != Stage::serving) return;
  while (next_.size() < site_->options.pipelined_max && reader_.state() == ReadState::complete) {
    next_.push_back(reader_.take());
  }
  if (!can_advance()) return;
  if (!next_.empty()) return answer_next();
  if (reader_.state() == ReadState::refused) return refuse(reader_.fault(), new_request_id());
  if (reader_.wants_continue()) {
    reader_.continued();
    out_ += kContinue;
  }
}

void OpenConnection::answer_next() {
  auto parsed = std::move(next_.front());
  next_.pop_front();
  if (refusal_) return refuse(*refusal_, parsed.request.id);
  if (site_->draining.load()) {
    return refuse({503, "draining", "The server is shutting down; try again in a moment."},
                  parsed.request.id);
  }
  parsed.request.client_ip = ip_;
  call_handler(std::move(parsed));
}

void OpenConnection::call_handler(ParsedRequest parsed) {
  const auto exchange = std::make_shared<Exchange>(
      ExchangeTraits{.request_id = parsed.request.id,
                     .protocol = parsed.protocol,
                     .head_only = parsed.request.method == "HEAD",
                     .keep_alive = parsed.keep_alive && !input_ended_,
                     .over_tls = transport_->secure()},
      outbox_, site_->streams, [site = site_] { return site->draining.load(); });
  exchange_ = exchange;
  answering_ = true;
  // Before the handler may hand the sink to another thread, so that a drain sees it.
  if (!std::exchange(counted_busy_, true)) ++site_->busy;
  try {
    site_->handler(std::move(parsed.request), exchange);
  } catch (const std::exception& error) {
    log::error("a request handler threw: {}", error.what());
  }
}

/// Answers without a handler and closes.
void OpenConnection::refuse(const RequestFault& fault, const std::string& request_id) {
  const auto response = error_response(fault);
  const ResponseHead head{.status = response.status,
                          .content_type = response.content_type,
                          .request_id = request_id,
                          .body_bytes = response.body.size(),
                          .afterwards = Afterwards::close,
                          .over_tls = transport_->secure()};
  stage_ = Stage::closing;
  outbox_->put_last(head_text(head, response.headers) + response.body, Afterwards::close);
}

/// Fetches what exchanges put into the outbox; false if there was nothing.
bool OpenConnection::take_news() {
  if (stage_ == Stage::closed) return false;
  auto news = outbox_->take();
  if (!news.any) return false;
  if (news.cut) {
    close();
    return false;
  }
  if (out_.empty()) {
    out_ = std::move(news.bytes);
    news.bytes.clear();
  }
  out_ += news.bytes;
  if (news.answered) {
    answering_ = false;
    exchange_.reset();
    since_ = std::chrono::steady_clock::now();
    if (news.afterwards == Afterwards::close) {
      stage_ = Stage::closing;
      next_.clear();
    }
  }
  return true;
}

void OpenConnection::write_some() {
  if (stage_ == Stage::closed) return;
  while (!write_blocked_ && sent_ < out_.size()) {
    const auto moved = transport_->write(std::string_view(out_).substr(sent_));
    if (moved.status == IoStatus::done) {
      sent_ += moved.bytes;
      site_->sent_bytes.add(static_cast<double>(moved.bytes));
      progress_ = std::chrono::steady_clock::now();
    } else if (moved.status == IoStatus::want_read || moved.status == IoStatus::want_write) {
      write_blocked_ = true;
      asio::co_spawn(*loop_->io, write_later(shared_from_this(), moved.status), asio::detached);
    } else {
      return close();
    }
  }
  if (sent_ < out_.size() && sent_ < kPipelineBacklog) return;
  outbox_->sent(sent_);
  out_.erase(0, std::exchange(sent_, 0));
  if (out_.empty() && out_.capacity() > kKeptCapacity) out_ = {};
}

asio::awaitable<void> OpenConnection::write_later(std::shared_ptr<OpenConnection> self,
                                                  IoStatus wanted) {
  error_code error;
  const auto wait =
      wanted == IoStatus::want_read ? Tcp::socket::wait_read : Tcp::socket::wait_write;
  co_await self->socket_.async_wait(wait, asio::redirect_error(asio::use_awaitable, error));
  self->write_blocked_ = false;
  if (error) co_return;
  self->turn();
}

/// What follows from the new state: end, read on, count.
void OpenConnection::settle() {
  if (stage_ == Stage::closed) return;
  if (stage_ == Stage::closing && out_.empty()) linger();
  if (stage_ == Stage::closed) return;
  if (input_ended_ && idle()) return close();
  if (stage_ == Stage::serving && timed_ != reader_.state()) {
    timed_ = reader_.state();
    since_ = std::chrono::steady_clock::now();
  }
  const bool busy = stage_ == Stage::closing || answering_ || !next_.empty() || !out_.empty();
  if (busy != std::exchange(counted_busy_, busy)) site_->busy += busy ? 1 : -1;
  resume_reading();
}

// --- ends

void OpenConnection::linger() {
  transport_->end_writing();
  stage_ = Stage::lingering;
  since_ = std::chrono::steady_clock::now();
  if (input_ended_) close();
}

void OpenConnection::close() {
  if (std::exchange(stage_, Stage::closed) == Stage::closed) return;
  const auto self = std::static_pointer_cast<OpenConnection>(*here_);
  loop_->connections.erase(here_);
  outbox_->close();
  error_code ignored;
  socket_.close(ignored);
  if (std::exchange(counted_busy_, false)) --site_->busy;
  site_->leave(ip_);
  if (const auto exchange = exchange_.lock()) exchange->client_left();
  // Not here: a caller further up may be inside the transport.
  asio::post(*loop_->io, [self] { self->transport_.reset(); });
}

void OpenConnection::sweep(TimePoint now) {
  const auto& options = site_->options;
  const auto age = now - since_;
  if (write_blocked_ && now - progress_ > options.write_timeout) return close();
  if (stage_ == Stage::handshake && age > options.handshake_timeout) {
    site_->handshake_failures.add();
    return close();
  }
  if (stage_ == Stage::lingering && age > kLinger) return close();
  if (stage_ != Stage::serving || answering_ || !next_.empty() || !out_.empty()) return;
  switch (reader_.state()) {
    case ReadState::between:
      if (age > options.idle_timeout) close();
      return;
    case ReadState::header:
      if (age > options.header_timeout) break;
      return;
    case ReadState::body:
      if (age > options.body_timeout) break;
      return;
    case ReadState::complete:
    case ReadState::refused: return;
  }
  refuse({408, "request_timeout", "The request did not arrive in time; send it faster."},
         new_request_id());
}

}  // namespace

Loop::Loop() : io(std::make_unique<asio::io_context>(1)) {}
Loop::~Loop() = default;

void Connection::open(const std::shared_ptr<Loop>& loop, const std::shared_ptr<Site>& site,
                      Arrival arrival) {
  std::make_shared<OpenConnection>(loop, site, std::move(arrival))->start();
}

}  // namespace hf::http
