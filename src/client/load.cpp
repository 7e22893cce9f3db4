#include "client/load.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "client/curl_setup.hpp"

namespace hf::client {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::array<std::string_view, 64> kWords = {
    "river", "table", "green", "seven", "house", "light", "paper", "stone", "music", "water",
    "plant", "north", "cloud", "glass", "horse", "bread", "chair", "winter", "summer", "garden",
    "window", "market", "silver", "orange", "letter", "bridge", "doctor", "engine", "forest",
    "island", "mirror", "number", "ocean", "pencil", "ribbon", "school", "ticket", "valley",
    "yellow", "button", "candle", "dinner", "effort", "father", "guitar", "hammer", "insect",
    "jacket", "kitchen", "ladder", "minute", "needle", "office", "person", "quiet", "rocket",
    "signal", "tunnel", "useful", "violin", "wagon", "copper", "engage", "filter"};

std::string words(std::uint64_t seed, std::uint32_t count) {
  std::mt19937_64 random(seed);
  std::string out;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) out.push_back(' ');
    out += kWords[random() % kWords.size()];
  }
  return out;
}

std::string body_of(const LoadOptions& options, std::uint32_t index) {
  nlohmann::json body = {{"model", options.model},
                         {"stream", true},
                         {"max_tokens", options.output_tokens},
                         {"temperature", 0},
                         {"stream_options", {{"include_usage", true}}}};
  if (options.ignore_eos) body["ignore_eos"] = true;
  if (options.path == LoadPath::chat) {
    body["messages"] = {{{"role", "user"}, {"content", load_prompt(options, index)}}};
  } else {
    body["prompt"] = load_prompt(options, index);
  }
  auto text = body.dump();
  if (!options.extra_json.empty()) {
    text.pop_back();
    text += "," + options.extra_json + "}";
  }
  return text;
}

class Run {
 public:
  explicit Run(const LoadOptions& options) : options_(options), multi_(curl_multi_init()) {
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 4096L);
  }
  ~Run() { curl_multi_cleanup(multi_); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  std::vector<RequestTrace> go() {
    start_ = std::chrono::steady_clock::now();
    slots_.resize(std::min(options_.clients, options_.requests));
    while (next_ < options_.requests || running_ > 0) {
      start_due();
      int active = 0;
      curl_multi_perform(multi_, &active);
      collect();
      curl_multi_poll(multi_, nullptr, 0, wait_ms(), nullptr);
    }
    return std::move(traces_);
  }

 private:
  struct Slot {
    CurlHandle handle;
    std::unique_ptr<EventCutter> cutter;
    RequestTrace trace = {};
    std::string body = {};
    double last_s = -1;
    bool busy = false;
    bool again = false;
  };

  [[nodiscard]] double now_s() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  // When the n-th request may start.
  [[nodiscard]] double due_s(std::uint32_t index) const {
    if (options_.rate > 0) return arrivals_s_(index);
    if (index < slots_.size() && slots_.size() > 1) {
      return options_.ramp_ms / 1000.0 * index / static_cast<double>(slots_.size());
    }
    return 0;
  }
  // Poisson arrivals, the same for the same seed.
  [[nodiscard]] double arrivals_s_(std::uint32_t index) const {
    std::mt19937_64 random(options_.seed);
    std::exponential_distribution<double> gap(options_.rate);
    double at = 0;
    for (std::uint32_t i = 0; i <= index; ++i) at += gap(random);
    return at;
  }

  // Until something must be started; answers end the wait by themselves. Waking for nothing would
  // take a core from the server that is measured on the same machine.
  [[nodiscard]] int wait_ms() const {
    constexpr int kLongest = 100;
    if (next_ >= options_.requests || running_ >= slots_.size()) return kLongest;
    return std::clamp(static_cast<int>((due_s(next_) - now_s()) * 1000), 0, kLongest);
  }

  void start_due() {
    for (auto& slot : slots_) {
      if (next_ >= options_.requests || now_s() < due_s(next_)) return;
      if (slot && slot->busy) continue;
      if (!slot) slot = std::make_unique<Slot>();
      begin(*slot, next_++);
    }
  }

  void begin(Slot& slot, std::uint32_t index) {
    slot.busy = true;
    slot.again = false;
    slot.trace = {};
    slot.body.clear();
    slot.last_s = -1;
    slot.cutter = std::make_unique<EventCutter>([this, &slot](std::string_view data) { on_data(slot, data); });
    prepare_post(slot.handle, options_.endpoint,
                 options_.path == LoadPath::chat ? "/v1/chat/completions" : "/v1/completions",
                 body_of(options_, index));
    auto* curl = slot.handle.get();
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &slot);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, &slot);
    slot.trace.start_s = now_s();
    curl_multi_add_handle(multi_, curl);
    ++running_;
  }

  static std::size_t on_bytes(char* bytes, std::size_t size, std::size_t count, void* user) {
    auto& slot = *static_cast<Slot*>(user);
    const std::string_view text(bytes, size * count);
    if (slot.body.size() < 2000) slot.body.append(text);
    slot.cutter->feed(text);
    return text.size();
  }

  static bool has_text(const nlohmann::json& choice) {
    const auto filled = [](const nlohmann::json& where, const char* key) {
      return where.contains(key) && where[key].is_string() && !where[key].get_ref<const std::string&>().empty();
    };
    if (filled(choice, "text")) return true;
    if (!choice.contains("delta")) return false;
    return filled(choice["delta"], "content") || filled(choice["delta"], "reasoning_content");
  }

  void on_data(Slot& slot, std::string_view data) {
    if (data == "[DONE]") return;
    const auto event = nlohmann::json::parse(data, nullptr, false);
    if (!event.is_object()) return;
    if (event.contains("error")) slot.trace.error = event["error"].dump();
    if (event.contains("usage") && event["usage"].is_object()) {
      slot.trace.prompt_tokens = event["usage"].value("prompt_tokens", 0U);
      slot.trace.output_tokens = event["usage"].value("completion_tokens", 0U);
    }
    if (!event.contains("choices")) return;
    for (const auto& choice : event["choices"]) {
      if (!has_text(choice)) continue;
      const auto now = now_s();
      if (slot.trace.first_s < 0) {
        slot.trace.first_s = now;
      } else {
        slot.trace.gaps_ms.push_back((now - slot.last_s) * 1000);
      }
      slot.last_s = now;
    }
  }

  // The server closed a connection it had kept open just as the request went out on it: the request
  // is asked again on a new one (RFC 9112 section 9.3.1), and that time counts.
  static bool stale(const Slot& slot) {
    long connections = 0;
    curl_easy_getinfo(slot.handle.get(), CURLINFO_NUM_CONNECTS, &connections);
    return connections == 0 && slot.body.empty() && !slot.again;
  }

  void collect() {
    int left = 0;
    while (const auto* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      Slot* slot = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
      if (message->data.result != CURLE_OK && stale(*slot)) {
        slot->again = true;
        curl_multi_remove_handle(multi_, slot->handle.get());
        curl_easy_setopt(slot->handle.get(), CURLOPT_FRESH_CONNECT, 1L);
        curl_multi_add_handle(multi_, slot->handle.get());
        continue;
      }
      auto& trace = slot->trace;
      trace.end_s = now_s();
      curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &trace.status);
      if (message->data.result != CURLE_OK) {
        trace.error = connection_error(message->data.result, options_.endpoint).error().message;
      } else if (trace.status != 200) {
        trace.error = error_text({trace.status, slot->body});
      }
      curl_multi_remove_handle(multi_, message->easy_handle);
      traces_.push_back(std::move(trace));
      slot->busy = false;
      --running_;
    }
  }

  const LoadOptions& options_;
  CURLM* multi_;
  SteadyTime start_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<RequestTrace> traces_;
  std::uint32_t next_ = 0;
  std::uint32_t running_ = 0;
};

}  // namespace

std::string load_prompt(const LoadOptions& options, std::uint32_t index) {
  std::string prompt;
  const auto marked = std::floor((index + 1) * options.shared_share) > std::floor(index * options.shared_share);
  if (options.shared_words > 0 && marked) prompt = words(options.seed * 7919, options.shared_words) + " ";
  return prompt + words(options.seed * 1'000'003 + index + 1, options.prompt_words);
}

Percentiles percentiles(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto at = [&values](double share) {
    const auto index = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::clamp(index, std::size_t{1}, values.size()) - 1];
  };
  return {at(0.5), at(0.9), at(0.99), values.back()};
}

Result<LoadReport> run_load(const LoadOptions& options) {
  LoadReport report;
  report.started_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  report.traces = Run(options).go();
  std::vector<double> first;
  std::vector<double> gaps;
  std::vector<double> whole;
  for (const auto& trace : report.traces) {
    report.wall_s = std::max(report.wall_s, trace.end_s);
    if (!trace.error.empty()) {
      ++report.failed;
      if (report.first_error.empty()) report.first_error = trace.error;
      continue;
    }
    ++report.completed;
    report.prompt_tokens += trace.prompt_tokens;
    report.output_tokens += trace.output_tokens;
    if (trace.first_s >= 0) first.push_back((trace.first_s - trace.start_s) * 1000);
    whole.push_back((trace.end_s - trace.start_s) * 1000);
    gaps.insert(gaps.end(), trace.gaps_ms.begin(), trace.gaps_ms.end());
  }
  if (report.completed == 0) return fail(Errc::unavailable, report.first_error);
  report.output_tokens_per_s = static_cast<double>(report.output_tokens) / report.wall_s;
  report.total_tokens_per_s =
      static_cast<double>(report.output_tokens + report.prompt_tokens) / report.wall_s;
  report.ttft_ms = percentiles(std::move(first));
  report.gap_ms = percentiles(std::move(gaps));
  report.request_ms = percentiles(std::move(whole));
  return report;
}

}  // namespace hf::client
