#include "inference/model_metrics.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <vector>

namespace hf::inference {
namespace {

/// 0.01 doubled up to 81.92.
std::vector<double> duration_buckets_seconds() {
  std::vector<double> bounds;
  for (double bound = 0.01; bounds.size() < 14; bound *= 2) bounds.push_back(bound);
  return bounds;
}

const std::vector<double>& token_buckets_seconds() {
  static const std::vector<double> kBuckets = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                                               0.3,  0.4,   0.5,  0.75,  1,   2.5};
  return kBuckets;
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string_view text_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "ok";
    case Outcome::error:
      return "error";
    case Outcome::cancelled:
      return "cancelled";
  }
  return "error";
}

std::string_view text_of(ModelState state) {
  switch (state) {
    case ModelState::unloaded:
      return "unloaded";
    case ModelState::loading:
      return "loading";
    case ModelState::ready:
      return "ready";
    case ModelState::failed:
      return "failed";
  }
  return "failed";
}

constexpr std::array kStates = {ModelState::unloaded, ModelState::loading, ModelState::ready,
                                ModelState::failed};

/// A counter fed with the readings of a value that restarts at 0 with every engine.
struct Followed {
  Counter* own = nullptr;
  Counter* vllm = nullptr;
  void follow(std::uint64_t now, std::uint64_t before) const {
    const auto more = static_cast<double>(now >= before ? now - before : now);
    own->add(more);
    if (vllm != nullptr) vllm->add(more);
  }
};

/// A gauge under its own and, if wanted, vLLM's name.
struct Shown {
  Gauge* own = nullptr;
  Gauge* vllm = nullptr;
  void set(double value) const {
    own->set(value);
    if (vllm != nullptr) vllm->set(value);
  }
};

}  // namespace

struct ModelMetrics::Series {
  Metrics& metrics;
  Labels labels;
  Labels vllm_labels;
  MetricNames names;

  [[nodiscard]] Shown gauge(std::string_view name, std::string_view vllm,
                            std::string_view help) const {
    Shown shown{.own = &metrics.gauge(name, help, labels)};
    if (names == MetricNames::own_and_vllm && !vllm.empty()) {
      shown.vllm = &metrics.gauge(vllm, help, vllm_labels);
    }
    return shown;
  }
  [[nodiscard]] Followed counter(std::string_view name, std::string_view vllm,
                                 std::string_view help) const {
    Followed followed{.own = &metrics.counter(name, help, labels)};
    if (names == MetricNames::own_and_vllm && !vllm.empty()) {
      followed.vllm = &metrics.counter(vllm, help, vllm_labels);
    }
    return followed;
  }
  void vllm_observe(std::string_view name, std::string_view help, double value) const {
    if (names != MetricNames::own_and_vllm) return;
    metrics.histogram(name, help, latency_buckets_seconds(), vllm_labels).observe(value);
  }

  Counter& restarts = metrics.counter("holdfast_engine_restarts_total",
                                      "Engine processes started again after a crash.", labels);
  Gauge& load_seconds =
      metrics.gauge("holdfast_engine_load_seconds", "Time the last load took.", labels);
  Shown running = gauge("holdfast_engine_requests_running", "vllm:num_requests_running",
                        "Requests being computed.");
  Shown waiting = gauge("holdfast_engine_requests_waiting", "vllm:num_requests_waiting",
                        "Requests waiting in the engine.");
  Shown swapped =
      gauge("holdfast_engine_requests_swapped", "", "Requests put aside for lack of KV cells.");
  Shown kv_usage = gauge("holdfast_engine_kv_usage_ratio", "vllm:kv_cache_usage_perc",
                         "Share of the KV cells in use, 0 to 1.");
  Shown resident = gauge("holdfast_engine_resident_bytes", "", "Memory of the engine process.");
  Shown step = gauge("holdfast_engine_step_seconds", "", "Moving average of one step.");
  Shown contention = gauge("holdfast_engine_contention", "",
                           "1 while other work on the machine slows the engine down.");
  Followed prompt = counter("holdfast_engine_prompt_tokens_total", "vllm:prompt_tokens_total",
                            "Prompt tokens computed, without cached ones.");
  Followed cached = counter("holdfast_engine_cached_tokens_total", "vllm:prefix_cache_hits",
                            "Prompt tokens taken from the prefix cache.");
  Followed generated = counter("holdfast_engine_generated_tokens_total",
                               "vllm:generation_tokens_total", "Tokens generated.");
  Followed preemptions = counter("holdfast_engine_preemptions_total", "vllm:num_preemptions_total",
                                 "Requests that had to give their KV cells back.");
  Followed drafted =
      counter("holdfast_engine_drafted_tokens_total", "", "Tokens proposed by speculation.");
  Followed accepted =
      counter("holdfast_engine_accepted_tokens_total", "", "Proposed tokens that were right.");
  Counter* queries =
      names == MetricNames::own_and_vllm
          ? &metrics.counter("vllm:prefix_cache_queries",
                             "Prompt tokens looked up in the prefix cache.", vllm_labels)
          : nullptr;
};

ModelMetrics::ModelMetrics(Metrics& metrics, const std::string& model, MetricNames names)
    : metrics_(metrics),
      model_(model),
      series_(new Series{.metrics = metrics,
                         .labels = {{"model", model}},
                         .vllm_labels = {{"model_name", model}},
                         .names = names}) {}

ModelMetrics::~ModelMetrics() = default;

void ModelMetrics::restarted() {
  series_->restarts.add();
}

void ModelMetrics::loaded(double load_seconds) {
  series_->load_seconds.set(load_seconds);
}

void ModelMetrics::state(ModelState state) {
  for (const auto one : kStates) {
    metrics_
        .gauge("holdfast_model_state", "1 for the state the model is in.",
               {{"model", model_}, {"state", std::string(text_of(one))}})
        .set(one == state ? 1 : 0);
  }
  if (state == ModelState::ready) return;
  for (const auto* gauge : {&series_->running, &series_->waiting, &series_->swapped,
                            &series_->kv_usage, &series_->resident}) {
    gauge->set(0);
  }
}

void ModelMetrics::stats(const wire::Stats& stats) {
  const auto& s = *series_;
  s.running.set(stats.running);
  s.waiting.set(stats.waiting);
  s.swapped.set(stats.swapped);
  s.kv_usage.set(
      stats.cells_total == 0 ? 0.0 : static_cast<double>(stats.cells_used) / stats.cells_total);
  s.resident.set(static_cast<double>(stats.resident_bytes));
  s.step.set(stats.step_ms_recent / 1000);
  s.contention.set(stats.contention);
  s.prompt.follow(stats.prompt_tokens, last_.prompt_tokens);
  s.cached.follow(stats.cached_tokens, last_.cached_tokens);
  s.generated.follow(stats.generated_tokens, last_.generated_tokens);
  s.preemptions.follow(stats.preemptions, last_.preemptions);
  s.drafted.follow(stats.drafted_tokens, last_.drafted_tokens);
  s.accepted.follow(stats.accepted_tokens, last_.accepted_tokens);
  if (s.queries != nullptr) {
    const Followed looked_up{.own = s.queries};
    looked_up.follow(stats.prompt_tokens + stats.cached_tokens,
                     last_.prompt_tokens + last_.cached_tokens);
  }
  last_ = stats;
}

void ModelMetrics::answered(std::string_view operation, Outcome outcome,
                            const RequestTimes& times) {
  metrics_
      .counter("holdfast_upstream_requests_total", "Requests sent to engines, by how they ended.",
               {{"deployment", model_}, {"outcome", std::string(text_of(outcome))}})
      .add();
  static const auto kBounds = duration_buckets_seconds();
  Labels labels = {{"gen_ai_operation_name", std::string(operation)},
                   {"gen_ai_request_model", model_}};
  if (outcome != Outcome::ok) labels.emplace_back("error_type", text_of(outcome));
  metrics_
      .histogram("gen_ai_server_request_duration_seconds", "From arrival to the last event.",
                 kBounds, labels)
      .observe(seconds(times.ended - times.arrived));
}

void ModelMetrics::generated(std::string_view operation, Outcome outcome, const RequestTimes& times,
                             const wire::Done& usage) {
  answered(operation, outcome, times);
  if (outcome != Outcome::ok || times.first_token == TimePoint{}) return;
  const Labels labels = {{"gen_ai_operation_name", std::string(operation)},
                         {"gen_ai_request_model", model_}};
  const auto first = seconds(times.first_token - times.arrived);
  metrics_
      .histogram("gen_ai_server_time_to_first_token_seconds", "From arrival to the first token.",
                 latency_buckets_seconds(), labels)
      .observe(first);
  series_->vllm_observe("vllm:time_to_first_token_seconds", "Time to first token.", first);
  series_->vllm_observe("vllm:e2e_request_latency_seconds", "Whole request.",
                        seconds(times.ended - times.arrived));
  if (usage.completion_tokens < 2) return;
  const auto each = seconds(times.ended - times.first_token) / (usage.completion_tokens - 1);
  metrics_
      .histogram("gen_ai_server_time_per_output_token_seconds",
                 "Mean time between the tokens of a request after the first.",
                 token_buckets_seconds(), labels)
      .observe(each);
  series_->vllm_observe("vllm:inter_token_latency_seconds", "Time between tokens.", each);
}

}  // namespace hf::inference
