#pragma once
// Counts and times every request by route template, method and status. Threads: any.

#include <memory>
#include <string>
#include <string_view>

#include "api/exchange.hpp"
#include "base/metrics.hpp"

namespace hf::api {

class RequestMetrics {
 public:
  /// `metrics` outlives it and every watched sink.
  explicit RequestMetrics(Metrics& metrics);

  /// A sink that passes everything on and counts once, when the answer is complete or given up.
  /// `route` is static text; a `method` that is no common one is counted as "other".
  std::shared_ptr<ResponseSink> watch(std::shared_ptr<ResponseSink> sink, std::string_view route,
                                      std::string_view method);
  /// `result`: "ok" or why not.
  void count_key_check(std::string_view result);
  void count_denied(std::string_view permission);

 private:
  Metrics& metrics_;
  Gauge& inflight_;
};

}  // namespace hf::api
