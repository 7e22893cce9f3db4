#include "base/metrics.hpp"

#include <algorithm>
#include <format>

namespace hf {
namespace {

void write_escaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
}

std::string label_text(const Labels& labels, std::string_view le = {}) {
  if (labels.empty() && le.empty()) return {};
  std::string out = "{";
  for (const auto& [key, value] : labels) {
    if (out.size() > 1) out.push_back(',');
    out += key;
    out += "=\"";
    write_escaped(out, value);
    out.push_back('"');
  }
  if (!le.empty()) {
    if (out.size() > 1) out.push_back(',');
    out += std::format("le=\"{}\"", le);
  }
  out.push_back('}');
  return out;
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), buckets_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
  const auto at = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  buckets_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

void Histogram::write(std::string& out, std::string_view name, const Labels& labels) const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    total += buckets_[i].load(std::memory_order_relaxed);
    const auto bound = i < bounds_.size() ? std::format("{}", bounds_[i]) : std::string("+Inf");
    out += std::format("{}_bucket{} {}\n", name, label_text(labels, bound), total);
  }
  out += std::format("{}_sum{} {}\n", name, label_text(labels), sum_.load());
  out += std::format("{}_count{} {}\n", name, label_text(labels), total);
}

Metrics::Series& Metrics::series(std::string_view name, std::string_view help, std::string_view type,
                                 const Labels& labels) {
  auto& family = families_[std::string(name)];
  if (family.type.empty()) {
    family.help = help;
    family.type = type;
  }
  auto& series = family.series[label_text(labels)];
  series.labels = labels;
  return series;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
  const Lock lock(mutex_);
  auto& found = series(name, help, "counter", labels);
  if (!found.counter) found.counter = std::make_unique<Counter>();
  return *found.counter;
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  const Lock lock(mutex_);
  auto& found = series(name, help, "gauge", labels);
  if (!found.gauge) found.gauge = std::make_unique<Gauge>();
  return *found.gauge;
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help,
                              const std::vector<double>& bounds, const Labels& labels) {
  const Lock lock(mutex_);
  auto& found = series(name, help, "histogram", labels);
  if (!found.histogram) found.histogram = std::make_unique<Histogram>(bounds);
  return *found.histogram;
}

std::string Metrics::text() const {
  const Lock lock(mutex_);
  std::string out;
  for (const auto& [name, family] : families_) {
    out += std::format("# HELP {} {}\n# TYPE {} {}\n", name, family.help, name, family.type);
    for (const auto& [key, series] : family.series) {
      if (series.counter) out += std::format("{}{} {}\n", name, key, series.counter->value());
      if (series.gauge) out += std::format("{}{} {}\n", name, key, series.gauge->value());
      if (series.histogram) series.histogram->write(out, name, series.labels);
    }
  }
  return out;
}

const std::vector<double>& latency_buckets_seconds() {
  static const std::vector<double> kBuckets = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                               0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10};
  return kBuckets;
}

}  // namespace hf
