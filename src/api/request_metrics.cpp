#include "api/request_metrics.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <utility>

namespace hf::api {
namespace {

constexpr int kClientLeft = 499;
constexpr int kUnanswered = 500;

class WatchedSink final : public ResponseSink {
 public:
  WatchedSink(std::shared_ptr<ResponseSink> inner, Metrics& metrics, Gauge& inflight,
              std::string_view route, std::string_view method)
      : inner_(std::move(inner)),
        metrics_(metrics),
        inflight_(inflight),
        route_(route),
        method_(method) {
    inflight_.add(1);
  }
  ~WatchedSink() override {
    if (counted_) return;
    const bool left = gone_ && gone_->load();
    count(left ? kClientLeft : status_ != 0 ? status_ : kUnanswered);
  }
  WatchedSink(const WatchedSink&) = delete;
  WatchedSink& operator=(const WatchedSink&) = delete;

  void respond(HttpResponse response) override {
    count(response.status);
    inner_->respond(std::move(response));
  }
  SinkState start_stream(int status, std::string content_type, Headers headers) override {
    status_ = status;
    return inner_->start_stream(status, std::move(content_type), std::move(headers));
  }
  SinkState write(std::string bytes) override { return inner_->write(std::move(bytes)); }
  void finish() override {
    count(status_);
    inner_->finish();
  }
  void on_gone(std::move_only_function<void()> callback) override {
    gone_ = std::make_shared<std::atomic<bool>>(false);
    inner_->on_gone([gone = gone_, callback = std::move(callback)]() mutable {
      gone->store(true);
      callback();
    });
  }

 private:
  void count(int status) {
    if (std::exchange(counted_, true)) return;
    inflight_.add(-1);
    metrics_
        .counter("holdfast_http_requests_total", "Requests answered, by route, method and status.",
                 {{"route", std::string(route_)},
                  {"method", std::string(method_)},
                  {"code", std::to_string(status)}})
        .add();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - started_;
    metrics_
        .histogram("holdfast_http_request_duration_seconds",
                   "From the complete request to the end of its answer.", latency_buckets_seconds(),
                   {{"route", std::string(route_)}})
        .observe(taken.count());
  }

  const std::shared_ptr<ResponseSink> inner_;
  Metrics& metrics_;
  Gauge& inflight_;
  const std::string_view route_;
  const std::string_view method_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::shared_ptr<std::atomic<bool>> gone_ = nullptr;
  int status_ = 0;
  bool counted_ = false;
};

/// The method as static text, so that callers cannot make up label values.
std::string_view known_method(std::string_view method) {
  static constexpr auto kMethods = std::to_array<std::string_view>(
      {"GET", "POST", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"});
  const auto found = std::ranges::find(kMethods, method);
  return found == kMethods.end() ? "other" : *found;
}

}  // namespace

RequestMetrics::RequestMetrics(Metrics& metrics)
    : metrics_(metrics),
      inflight_(metrics.gauge("holdfast_inflight_requests", "Requests that are being answered.")) {}

std::shared_ptr<ResponseSink> RequestMetrics::watch(std::shared_ptr<ResponseSink> sink,
                                                    std::string_view route,
                                                    std::string_view method) {
  return std::make_shared<WatchedSink>(std::move(sink), metrics_, inflight_, route,
                                       known_method(method));
}

void RequestMetrics::count_key_check(std::string_view result) {
  metrics_
      .counter("holdfast_auth_attempts_total", "Credentials checked, by result.",
               {{"method", "api_key"}, {"result", std::string(result)}})
      .add();
}

void RequestMetrics::count_denied(std::string_view permission) {
  metrics_
      .counter("holdfast_authz_denied_total", "Requests refused for want of a permission.",
               {{"permission", std::string(permission)}})
      .add();
}

}  // namespace hf::api
