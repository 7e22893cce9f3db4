// Any text as a chat template: what passes the check parses or is refused, without a crash. Only
// templates without loops, macros and calls are rendered too, since nothing bounds the others here.
#include <cstdint>
#include <string>

#include "chat/chat_template.hpp"
#include "chat/template_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string source(reinterpret_cast<const char*>(bytes), size);
  const auto checked = hf::chat::checked_template(
      source, {.nesting_max = 20, .tag_words_max = 100, .run_bytes_max = 200});
  if (!checked) return 0;
  HF_ASSERT(hf::chat::checked_template(*checked));
  for (const auto* risky : {"for", "macro", "call", "range", "filter", "indent"}) {
    if (source.contains(risky)) return 0;
  }
  const auto renderer = hf::chat::TemplateRenderer::open(source, "<s>", "</s>");
  if (!renderer) {
    HF_ASSERT(!renderer.error().message.empty());
    return 0;
  }
  (void)(*renderer)->render({.messages_json = R"([{"role": "user", "content": "hello"}])"});
  return 0;
}
