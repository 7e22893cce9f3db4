#include <format>
#include <nlohmann/json.hpp>

#include "client/load.hpp"

namespace hf::client {
namespace {

nlohmann::json json_of(const Percentiles& p) {
  return {{"p50", p.p50}, {"p90", p.p90}, {"p99", p.p99}, {"max", p.max}};
}

nlohmann::json json_of(const RequestTrace& trace) {
  return {{"start_s", trace.start_s},
          {"first_s", trace.first_s},
          {"end_s", trace.end_s},
          {"gaps_ms", trace.gaps_ms},
          {"prompt_tokens", trace.prompt_tokens},
          {"output_tokens", trace.output_tokens},
          {"status", trace.status},
          {"error", trace.error}};
}

std::string row(std::string_view name, const Percentiles& p) {
  return std::format("{:<24}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}\n", name, p.p50, p.p90, p.p99, p.max);
}

}  // namespace

std::string to_json(const LoadReport& report, TraceDetail detail) {
  nlohmann::json out = {{"started_s", report.started_s},
                        {"wall_s", report.wall_s},
                        {"completed", report.completed},
                        {"failed", report.failed},
                        {"prompt_tokens", report.prompt_tokens},
                        {"output_tokens", report.output_tokens},
                        {"output_tokens_per_s", report.output_tokens_per_s},
                        {"total_tokens_per_s", report.total_tokens_per_s},
                        {"ttft_ms", json_of(report.ttft_ms)},
                        {"gap_ms", json_of(report.gap_ms)},
                        {"request_ms", json_of(report.request_ms)},
                        {"first_error", report.first_error}};
  if (detail == TraceDetail::requests) {
    out["requests"] = nlohmann::json::array();
    for (const auto& trace : report.traces) out["requests"].push_back(json_of(trace));
  }
  return out.dump();
}

std::string to_table(const LoadReport& report) {
  std::string out = std::format(
      "{} requests completed, {} failed, {:.2f} s\n{} prompt and {} output tokens; {:.1f} output "
      "tokens/s, {:.1f} in all\n",
      report.completed, report.failed, report.wall_s, report.prompt_tokens, report.output_tokens,
      report.output_tokens_per_s, report.total_tokens_per_s);
  out += std::format("{:<24}{:>10}{:>10}{:>10}{:>10}\n", "", "p50", "p90", "p99", "max");
  out += row("time to first token, ms", report.ttft_ms);
  out += row("between tokens, ms", report.gap_ms);
  out += row("whole request, ms", report.request_ms);
  if (!report.first_error.empty()) out += "first error: " + report.first_error + "\n";
  return out;
}

}  // namespace hf::client
