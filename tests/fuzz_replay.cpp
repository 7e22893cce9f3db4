// Main for fuzz targets without libFuzzer: replays every saved input, then mutates them for a
// short, seeded while. Usage: TARGET FOLDER [seconds] ; HF_SEED sets the seed.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

void feed(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::string mutated(std::string input, std::mt19937& random) {
  const auto below = [&random](std::size_t n) { return n == 0 ? 0 : random() % n; };
  const auto changes = 1 + below(4);
  for (std::size_t i = 0; i < changes; ++i) {
    const auto at = below(input.size() + 1);
    switch (below(5)) {
      case 0: input.insert(at, 1, static_cast<char>(below(256))); break;
      case 1: if (at < input.size()) input.erase(at, 1 + below(8)); break;
      case 2: if (at < input.size()) input[at] = static_cast<char>(below(256)); break;
      case 3: input.insert(at, input.substr(below(input.size() + 1), below(32))); break;
      default: input.resize(at); break;
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER [seconds]\n", argv[0]);
    return 2;
  }
  std::vector<std::string> inputs = {""};
  if (std::filesystem::is_directory(argv[1])) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  for (const auto& input : inputs) feed(input);
  const auto seconds = argc > 2 ? std::atof(argv[2]) : 2.0;
  const char* seed_text = std::getenv("HF_SEED");
  const auto seed = seed_text != nullptr ? static_cast<unsigned>(std::atoi(seed_text)) : 1U;
  std::mt19937 random(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::size_t runs = 0;
  while (std::chrono::steady_clock::now() < end) {
    feed(mutated(inputs[random() % inputs.size()], random));
    ++runs;
  }
  std::printf("%zu saved inputs, %zu mutations, seed %u\n", inputs.size(), runs, seed);
  return 0;
}
