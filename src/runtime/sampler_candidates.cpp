#include "runtime/sampler_candidates.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "runtime/sampler_kernels.hpp"

namespace hf::runtime {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
float clean_value(float value) {
  if (std::isnan(value)) return kNever;
  return std::min(value, kLargest);
}

}  // namespace

// Only the winning block is searched for the place.
Token argmax(std::span<const float> logits) {
  constexpr std::size_t kSearched = 1024;
  float best = kNever;
  std::size_t best_begin = 0;
  for (std::size_t begin = 0; begin < logits.size(); begin += kSearched) {
    const auto top =
        kernels::largest(logits.data() + begin, std::min(kSearched, logits.size() - begin));
    if (top <= best) continue;
    best = top;
    best_begin = begin;
  }
  auto at = best_begin;
  while (at < logits.size() && logits[at] != best) ++at;
  return at < logits.size() ? static_cast<Token>(at) : 0;
}

void LogitScan::read(std::span<float> logits) {
  logits_ = logits;
  const auto whole = logits.size() / kBlock;
  const auto rest = logits.subspan(whole * kBlock);
  block_max_.resize(whole);
  kernels::clean_blocks(logits.data(), whole, block_max_.data());
  if (!rest.empty()) {
    float best = kNever;
    for (auto& value : rest) {
      value = clean_value(value);
      best = std::max(best, value);
    }
    block_max_.push_back(best);
  }
  max_ = block_max_.empty() ? kNever : std::ranges::max(block_max_);
}

Token LogitScan::argmax() const {
  const auto block =
      static_cast<std::size_t>(std::ranges::find(block_max_, max_) - block_max_.begin());
  auto at = block * kBlock;
  while (at < logits_.size() && logits_[at] != max_) ++at;
  return at < logits_.size() ? static_cast<Token>(at) : 0;
}

double LogitScan::sum(float temperature) {
  block_sum_.resize(block_max_.size());
  const float scale = 1 / temperature;
  total_ = 0;
  for (std::size_t b = 0; b < block_max_.size(); ++b) {
    const auto begin = b * kBlock;
    // A block 40 below the maximum adds less than 3e-16 of it.
    const bool counts = (block_max_[b] - max_) * scale > -40;
    const auto block = logits_.subspan(begin, std::min(kBlock, logits_.size() - begin));
    block_sum_[b] = counts ? kernels::weigh_block(block.data(), block.size(), max_, scale) : 0;
    total_ += double{block_sum_[b]};
  }
  return total_;
}

Token LogitScan::draw(double unit, float temperature) const {
  double left = unit * total_;
  std::size_t b = 0;
  std::size_t last = 0;
  for (; b < block_sum_.size(); ++b) {
    if (block_sum_[b] <= 0) continue;
    last = b;
    if (left < double{block_sum_[b]}) break;
    left -= double{block_sum_[b]};
  }
  const auto begin = last * kBlock;
  const auto end = std::min(begin + kBlock, logits_.size());
  Token found = argmax();
  for (auto i = begin; i < end; ++i) {
    const double weight = double{kernels::exp_one((logits_[i] - max_) / temperature)};
    if (weight <= 0) continue;
    found = static_cast<Token>(i);
    if (left < weight) break;
    left -= weight;
  }
  return found;
}

void LogitScan::gather(float threshold, Candidates& out) const {
  const auto reached = static_cast<std::size_t>(
      std::ranges::count_if(block_max_, [&](float best) { return best >= threshold; }));
  out.ids.resize(reached * kBlock + 1);
  out.logits.resize(reached * kBlock + 1);
  out.weights.clear();
  out.mass = 0;
  std::size_t count = 0;
  for (std::size_t b = 0; b < block_max_.size(); ++b) {
    if (block_max_[b] < threshold) continue;
    const auto end = std::min((b + 1) * kBlock, logits_.size());
    // The place after the last kept one is overwritten until a token stays there: no branch.
    for (auto i = b * kBlock; i < end; ++i) {
      out.ids[count] = static_cast<Token>(i);
      out.logits[count] = logits_[i];
      count += logits_[i] >= threshold ? 1U : 0U;
    }
  }
  out.ids.resize(count);
  out.logits.resize(count);
}

float LogitScan::threshold_for(std::size_t count) {
  if (count == 0 || count > block_max_.size()) return kNever;
  order_ = block_max_;
  const auto place = order_.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::ranges::nth_element(order_, place, std::greater{});
  return *place;
}

void weigh(Candidates& candidates, float max, float temperature) {
  candidates.weights.resize(candidates.size());
  candidates.mass = kernels::weigh_all(candidates.logits.data(), candidates.size(), max,
                                       1 / temperature, candidates.weights.data());
}

namespace {

// Moves the candidates that `keep(index)` wants to the front, in order.
template <class Keep>
void filter(Candidates& c, Keep keep) {
  const bool weighed = c.weights.size() == c.size();
  std::size_t kept = 0;
  double mass = 0;
  for (std::size_t i = 0; i < c.size(); ++i) {
    if (!keep(i)) continue;
    c.ids[kept] = c.ids[i];
    c.logits[kept] = c.logits[i];
    if (weighed) {
      c.weights[kept] = c.weights[i];
      mass += double{c.weights[i]};
    }
    ++kept;
  }
  c.ids.resize(kept);
  c.logits.resize(kept);
  if (weighed) c.weights.resize(kept);
  c.mass = mass;
}

struct Ranked {
  float key;  // Higher is better.
  float weight;
  Token id;
  [[nodiscard]] bool before(const Ranked& other) const {
    return key > other.key || (key == other.key && id < other.id);
  }
};

// The worst member of the smallest set of best entries whose weights reach `mass`. Quickselect by
// mass: expected cost linear.
Ranked last_of_mass(std::span<Ranked> entries, double mass) {
  while (entries.size() > 1) {
    const auto middle = entries[entries.size() / 2];
    const auto bound =
        std::ranges::partition(entries, [&](const Ranked& entry) { return entry.before(middle); });
    const auto upper = static_cast<std::size_t>(bound.begin() - entries.begin());
    double above = 0;
    for (const auto& entry : entries.first(upper)) above += double{entry.weight};
    if (upper > 0 && above >= mass) {
      entries = entries.first(upper);
      continue;
    }
    if (above + double{middle.weight} >= mass || upper + 1 == entries.size()) return middle;
    mass -= above + double{middle.weight};
    entries = entries.subspan(upper);
    // `middle` is the best of what is left; take it out.
    const auto at =
        std::ranges::find_if(entries, [&](const Ranked& e) { return e.id == middle.id; });
    std::iter_swap(at, entries.begin());
    entries = entries.subspan(1);
  }
  return entries.front();
}

std::vector<Ranked>& ranked_scratch() {
  thread_local std::vector<Ranked> scratch;
  return scratch;
}

template <class Key>
void keep_until_mass(Candidates& c, double mass, Key key) {
  if (c.size() <= 1) return;
  auto& entries = ranked_scratch();
  entries.clear();
  entries.reserve(c.size());
  for (std::size_t i = 0; i < c.size(); ++i) entries.push_back({key(i), c.weights[i], c.ids[i]});
  const auto last = last_of_mass(entries, mass);
  filter(c, [&](std::size_t i) { return !last.before({key(i), 0, c.ids[i]}); });
}

}  // namespace

void keep_best(Candidates& candidates, std::size_t count) {
  if (candidates.size() <= count) return;
  auto& entries = ranked_scratch();
  entries.clear();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    entries.push_back({candidates.logits[i], 0, candidates.ids[i]});
  }
  const auto place = entries.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::ranges::nth_element(entries, place,
                           [](const Ranked& a, const Ranked& b) { return a.before(b); });
  const auto last = *place;
  filter(candidates,
         [&](std::size_t i) { return !last.before({candidates.logits[i], 0, candidates.ids[i]}); });
}

void keep_nucleus(Candidates& candidates, double mass) {
  keep_until_mass(candidates, mass, [&](std::size_t i) { return candidates.logits[i]; });
}

void keep_above(Candidates& candidates, float threshold) {
  filter(candidates, [&](std::size_t i) { return candidates.logits[i] >= threshold; });
}

void keep_typical(Candidates& candidates, double typical_p) {
  double entropy = 0;
  std::vector<float> key(candidates.size());
  for (std::size_t i = 0; i < key.size(); ++i) {
    const double share = double{candidates.weights[i]} / candidates.mass;
    const double surprise = share > 0 ? -std::log(share) : 1e30;
    key[i] = static_cast<float>(surprise);
    if (share > 0) entropy += share * surprise;
  }
  for (auto& value : key) value = -std::fabs(value - static_cast<float>(entropy));
  // filter() moves entries only forward past ones it has read, so `key` by old index stays right.
  keep_until_mass(candidates, typical_p * candidates.mass, [&](std::size_t i) { return key[i]; });
}

Token draw(const Candidates& candidates, double unit) {
  double left = unit * candidates.mass;
  Token found = candidates.ids.front();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto weight = double{candidates.weights[i]};
    if (weight <= 0) continue;
    found = candidates.ids[i];
    if (left < weight) break;
    left -= weight;
  }
  return found;
}

}  // namespace hf::runtime
