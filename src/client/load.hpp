#pragma once
// Load generator against any OpenAI-compatible address: closed loop (so many clients, each asks
// again when answered) or open loop (arrivals at a rate). One thread, libcurl's multi interface.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "client/endpoint.hpp"

namespace hf::client {

enum class LoadPath : std::uint8_t { chat, completions };

struct LoadOptions {
  Endpoint endpoint = {};
  std::string model = {};
  LoadPath path = LoadPath::completions;
  std::uint32_t clients = 1;          ///< Closed loop; open loop: most at once.
  double rate = 0;                    ///< Open loop: arrivals per second; 0: closed loop.
  std::uint32_t requests = 16;
  std::uint32_t prompt_words = 128;   ///< Own part of each prompt; a word is about a token.
  std::uint32_t shared_words = 0;     ///< Common beginning of prompts.
  double shared_share = 1;            ///< Share of requests with the common beginning.
  std::uint32_t output_tokens = 32;
  std::uint64_t seed = 1;
  bool ignore_eos = true;
  std::uint32_t ramp_ms = 0;          ///< Closed loop: clients start spread over this time.
  std::string extra_json = {};        ///< Further fields for each request: "\"adapter\":1".
};

struct RequestTrace {
  double start_s = 0;   ///< From the run's start.
  double first_s = -1;  ///< First token; -1: none came.
  double end_s = 0;
  std::vector<double> gaps_ms = {};  ///< Between events with text.
  std::uint32_t prompt_tokens = 0;
  std::uint32_t output_tokens = 0;
  long status = 0;
  std::string error = {};
};

struct Percentiles {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
};

struct LoadReport {
  double started_s = 0;  ///< On the machine's monotonic clock: aligns the runs of two processes.
  double wall_s = 0;
  std::uint32_t completed = 0;
  std::uint32_t failed = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t output_tokens = 0;
  double output_tokens_per_s = 0;
  double total_tokens_per_s = 0;
  Percentiles ttft_ms = {};
  Percentiles gap_ms = {};
  Percentiles request_ms = {};
  std::string first_error = {};
  std::vector<RequestTrace> traces = {};
};

/// Blocks until every request has ended. Errors: unavailable, nothing answered at all.
Result<LoadReport> run_load(const LoadOptions& options);
/// The n-th of `options`' prompts; the same for the same options.
std::string load_prompt(const LoadOptions& options, std::uint32_t index);
Percentiles percentiles(std::vector<double> values);
enum class TraceDetail : std::uint8_t { none, requests };
/// With `requests`: also each request's times, in order of ending.
std::string to_json(const LoadReport& report, TraceDetail detail = TraceDetail::none);
std::string to_table(const LoadReport& report);

}  // namespace hf::client
