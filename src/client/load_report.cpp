#include <format>
#include <nlohmann/json.hpp>

#include "client/load.hpp"

namespace hf::client {
namespace {

nlohmann::json json_of(const Percentiles& p) {
  return {{"p50", p.p50}, {"p90", p.p90}, {"p99", p.p99}, {"max", p.max}};
}

std::string row(std::string_view name, const Percentiles& p) {
  return std::format("{:<24}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}\n", name, p.p50, p.p90, p.p99, p.max);
}

}  // namespace

std::string to_json(const LoadReport& report) {
  const nlohmann::json out = {{"wall_s", report.wall_s},
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
