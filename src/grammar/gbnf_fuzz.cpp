// Whatever text arrives as gbnf, it compiles or is refused, and what compiles can be walked.
#include <cstdint>
#include <string_view>

#include "grammar/fuzz_walk.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  hf::grammar::walk_a_few_steps(hf::wire::GrammarKind::gbnf, input);
  return 0;
}
