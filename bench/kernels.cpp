// The small hot loops beside the model: choosing a token, grammar checks and masks, frames.
//   kernels                     microseconds of each, the median of many
//   kernels NAME TIMES          runs one that often and nothing else (for instruction counts)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.hpp"
#include "runtime/sampler.hpp"
#include "wire/codec.hpp"

namespace {

using hf::wire::Token;

constexpr std::size_t kVocabulary = 152'000;
constexpr Token kEnd = 256;

/// A few likely tokens above a broad bell. `lead` 18: as a model is usually, 98 % of the chance is
/// with the few. 12: a model that hardly knows, and a nucleus of tens of thousands of tokens.
std::vector<float> made_up_logits(std::size_t lead) {
  std::mt19937 random(1);
  std::normal_distribution<float> bell(0, 2);
  std::vector<float> logits(kVocabulary);
  for (auto& logit : logits) logit = bell(random);
  for (std::size_t i = 0; i < 20; ++i) logits[random() % kVocabulary] += static_cast<float>(lead - i / 2);
  return logits;
}

/// Bytes first, then words of a skewed length.
std::vector<std::string> made_up_pieces() {
  std::mt19937 random(1);
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  pieces.emplace_back();
  while (pieces.size() < kVocabulary) {
    std::string piece = random() % 2 == 0 ? " " : "";
    for (auto length = 2 + random() % 5 + random() % 5; length > 0; --length) {
      piece += static_cast<char>('a' + std::min(random() % 26, random() % 26));
    }
    if (random() % 8 == 0) piece += "\"";
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

/// One kernel: `run` does its work once. What it needs is made before and not counted.
struct Kernel {
  std::string name;
  double limit_us;  ///< 0: none agreed.
  std::function<std::function<void()>()> prepare;
};

std::function<void()> picking(hf::wire::Sampling sampling, std::size_t lead = 18) {
  // The sampler may overwrite its input, so each run gets a copy; it costs about 15 microseconds.
  return [logits = made_up_logits(lead), scratch = std::vector<float>(kVocabulary), position = std::uint64_t{0},
          sampling]() mutable {
    scratch = logits;
    sampling.seed = ++position;
    const hf::runtime::Sampler sampler(sampling, 0, {});
    volatile auto token = sampler.pick(scratch, nullptr, {}).token;
    (void)token;
  };
}

constexpr std::string_view kPerson =
    R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"]})";

const hf::grammar::TokenTable& token_table() {
  static const hf::grammar::TokenTable table(made_up_pieces(), {kEnd});
  return table;
}

hf::wire::Grammar person() {
  return {.kind = hf::wire::GrammarKind::json_schema, .text = std::string(kPerson)};
}

std::function<void()> checking() {
  auto grammar = *hf::grammar::compile(person());
  std::shared_ptr<hf::grammar::Matcher> matcher = hf::grammar::make_matcher(grammar, token_table());
  (void)matcher->accept_bytes(R"({"name": "Jo)");
  return [grammar, matcher, random = std::mt19937(2)]() mutable {
    for (int i = 0; i < 100; ++i) (void)matcher->allows(static_cast<Token>(random() % kVocabulary));
  };
}

std::function<void()> masking() {
  (void)token_table();
  return [] {
    const auto fresh = *hf::grammar::compile(person());
    const auto matcher = hf::grammar::make_matcher(fresh, token_table());
    (void)matcher->accept_bytes(R"({"name": "Jo)");
    (void)matcher->mask();
  };
}

std::function<void()> framing() {
  return [frame = std::string()]() mutable {
    for (std::uint64_t id = 0; id < 100; ++id) {
      hf::wire::Delta delta;
      delta.id = id;
      delta.tokens = {1234};
      delta.text = " word";
      frame.clear();
      hf::wire::encode(hf::wire::ToServer(delta), frame);
      (void)hf::wire::decode_to_server(std::string_view(frame).substr(4));
    }
  };
}

std::vector<Kernel> kernels() {
  hf::wire::Sampling nucleus;
  nucleus.top_p = 0.95F;
  hf::wire::Sampling greedy;
  greedy.temperature = 0;
  hf::wire::Sampling top_k;
  top_k.top_k = 40;
  top_k.top_p = 0.95F;
  top_k.min_p = 0.05F;
  return {{"pick_top_p", 300, [=] { return picking(nucleus); }},
          {"pick_top_p_flat", 0, [=] { return picking(nucleus, 12); }},
          {"pick_greedy", 300, [=] { return picking(greedy); }},
          {"pick_top_k_p", 300, [=] { return picking(top_k); }},
          {"pick_plain", 300, [] { return picking({}); }},
          {"grammar_check_100", 0, checking},
          {"grammar_mask_new", 0, masking},
          {"frame_delta_100", 0, framing}};
}

double median_us(const std::function<void()>& run) {
  std::vector<double> times;
  for (int i = 0; i < 41; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) {
    for (const auto& kernel : kernels()) {
      if (kernel.name != argv[1]) continue;
      const auto run = kernel.prepare();
      for (auto times = std::atoi(argv[2]); times > 0; --times) run();
      return 0;
    }
    std::fprintf(stderr, "kernels: none is called '%s'\n", argv[1]);
    return 2;
  }
  for (const auto& kernel : kernels()) {
    std::printf("%s %.2f %.0f\n", kernel.name.c_str(), median_us(kernel.prepare()), kernel.limit_us);
  }
  return 0;
}
