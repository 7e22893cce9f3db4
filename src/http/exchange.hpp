#pragma once
// The answering side of one request, and the box through which answers reach their connection.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/exchange.hpp"
#include "base/metrics.hpp"
#include "base/mutex.hpp"
#include "http/request_reader.hpp"
#include "http/response_text.hpp"

namespace hf::http {

/// Bytes on their way to one connection. Threads: any; take() on the io thread only.
class Outbox {
 public:
  struct Taken {
    std::string bytes = {};
    bool any = false;       ///< Something changed since the last take().
    bool answered = false;  ///< The running exchange is complete.
    bool cut = false;       ///< Close at once.
    Afterwards afterwards = Afterwards::keep;
  };
  /// `post` runs a function on the io thread; `turn` is run there whenever there is news.
  using Post = std::function<void(std::move_only_function<void()>)>;
  Outbox(Post post, std::function<void()> turn, std::uint64_t unsent_max);

  /// Errors by state: gone if closed. A stream that has more than the limit unsent is cut.
  api::SinkState put_stream(std::string_view bytes);
  /// Ends the running exchange after `bytes`, which have no limit.
  void put_last(std::string_view bytes, Afterwards afterwards);
  void cut();
  void post(std::move_only_function<void()> work) const { post_(std::move(work)); }

  /// News is fetched by the caller until take() finds none; no turn is posted meanwhile.
  void begin_turn();
  Taken take();
  void sent(std::size_t bytes);
  /// From now on everything put is dropped.
  void close();

 private:
  void wake(bool& wanted) const;

  const Post post_;
  const std::function<void()> turn_;
  const std::uint64_t unsent_max_;
  mutable Mutex mutex_;
  Taken waiting_ HF_GUARDED_BY(mutex_);
  std::uint64_t unsent_ HF_GUARDED_BY(mutex_) = 0;
  bool turn_posted_ HF_GUARDED_BY(mutex_) = false;
  bool closed_ HF_GUARDED_BY(mutex_) = false;
};

struct StreamMetrics {
  Gauge& active;
  Counter& client_aborts;
};

/// What the answer's form depends on.
struct ExchangeTraits {
  std::string request_id;
  Protocol protocol = Protocol::http_1_1;
  bool head_only = false;  ///< HEAD: headers as for GET, no body.
  bool keep_alive = true;
  bool over_tls = true;
};

/// Threads: as ResponseSink; client_left() on the io thread.
class Exchange final : public api::ResponseSink {
 public:
  Exchange(ExchangeTraits traits, std::shared_ptr<Outbox> outbox, StreamMetrics metrics,
           std::function<bool()> draining);
  ~Exchange() override;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void respond(api::HttpResponse response) override;
  api::SinkState start_stream(int status, std::string content_type, api::Headers headers) override;
  api::SinkState write(std::string bytes) override;
  void finish() override;
  void on_gone(std::move_only_function<void()> callback) override;

  /// The connection is away.
  void client_left();

 private:
  enum class Phase : std::uint8_t { fresh, streaming, done };
  [[nodiscard]] Afterwards afterwards() const;
  [[nodiscard]] ResponseHead head(int status, std::string_view content_type) const;
  [[nodiscard]] bool framed() const { return traits_.protocol == Protocol::http_1_1; }

  const ExchangeTraits traits_;
  const std::shared_ptr<Outbox> outbox_;
  const StreamMetrics metrics_;
  const std::function<bool()> draining_;
  Mutex mutex_;
  Phase phase_ HF_GUARDED_BY(mutex_) = Phase::fresh;
  Afterwards stream_afterwards_ HF_GUARDED_BY(mutex_) = Afterwards::keep;
  bool body_allowed_ HF_GUARDED_BY(mutex_) = true;
  bool gone_ HF_GUARDED_BY(mutex_) = false;
  std::move_only_function<void()> gone_callback_ HF_GUARDED_BY(mutex_);
};

}  // namespace hf::http
