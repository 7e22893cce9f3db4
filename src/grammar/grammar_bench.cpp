// Times of a token check and of masks over 152,000 made-up pieces. Usage: grammar_bench
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "grammar/grammar.hpp"

namespace {

using hf::grammar::Token;

constexpr std::size_t kPieces = 152'000;
constexpr Token kEnd = 256;

/// Bytes first, then words of a skewed length, some with a space, quotes or JSON marks.
std::vector<std::string> made_up_pieces() {
  std::mt19937 random(1);
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  pieces.emplace_back();
  static const std::vector<std::string> marks = {"\"", "\":", "\",",  "{\"", "},", "\n",
                                                 "é",  "中",  "日本", ".",   "_",  "0"};
  while (pieces.size() < kPieces) {
    std::string piece = random() % 2 == 0 ? " " : "";
    for (auto length = 2 + random() % 5 + random() % 5; length > 0; --length) {
      piece += static_cast<char>('a' + std::min(random() % 26, random() % 26));
    }
    if (random() % 8 == 0)
      piece.insert(random() % 2 == 0 ? 0 : piece.size(), marks[random() % marks.size()]);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

template <class Work>
double microseconds(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

void measure(const char* name, const hf::wire::Grammar& source,
             const hf::grammar::TokenTable& tokens, const std::string& before) {
  std::vector<double> cold;
  std::vector<double> warm;
  std::vector<double> cached;
  std::vector<double> first_checks;
  std::vector<double> checks;
  double compile_us = 0;
  for (int round = 0; round < 9; ++round) {
    hf::Result<std::shared_ptr<const hf::grammar::Grammar>> grammar;
    compile_us = microseconds([&] { grammar = hf::grammar::compile(source); });
    const auto checker = hf::grammar::make_matcher(*grammar, tokens);
    if (!checker->accept_bytes(before)) return;
    std::mt19937 random(2);
    constexpr int kChecks = 2'000;
    const auto check_all = [&] {
      for (int i = 0; i < kChecks; ++i)
        (void)checker->allows(static_cast<Token>(random() % kPieces));
    };
    first_checks.push_back(microseconds(check_all) / kChecks);
    checks.push_back(microseconds(check_all) / kChecks);
    const auto fresh = hf::grammar::compile(source);
    const auto matcher = hf::grammar::make_matcher(*fresh, tokens);
    (void)matcher->accept_bytes(before);
    cold.push_back(microseconds([&] { (void)matcher->mask(); }));
    cached.push_back(microseconds([&] { (void)matcher->mask(); }));
    // Another token table with the same pieces: no mask is known, the parse states are.
    static const hf::grammar::TokenTable again(made_up_pieces(), {kEnd});
    const auto second = hf::grammar::make_matcher(*fresh, again);
    (void)second->accept_bytes(before);
    warm.push_back(microseconds([&] { (void)second->mask(); }));
  }
  const auto median = [](std::vector<double>& values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
  };
  std::printf(
      "%-22s compile_us=%.0f check_first_us=%.3f check_us=%.3f mask_new_ms=%.2f "
      "mask_known_states_ms=%.2f mask_cached_us=%.2f\n",
      name, compile_us, median(first_checks), median(checks), median(cold) / 1000,
      median(warm) / 1000, median(cached));
}

}  // namespace

int main() {
  const hf::grammar::TokenTable tokens(made_up_pieces(), {kEnd});
  using enum hf::wire::GrammarKind;
  const std::string person =
      R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer",)"
      R"("minimum":0,"maximum":150}},"required":["name","age"]})";
  measure("json_string", {.kind = json_schema, .text = person}, tokens, R"({"name": "Jo)");
  measure("json_key", {.kind = json_schema, .text = person}, tokens, "{");
  measure("json_bounded_string",
          {.kind = json_schema, .text = R"({"type":"string","maxLength":200})"}, tokens, "\"ab");
  measure("any_object", {.kind = json_object}, tokens, R"({"a": [{"b": "c)");
  measure("regex_words", {.kind = regex, .text = R"(([a-z]{1,12} ?){1,20}\.)"}, tokens, "some ");
  return 0;
}
