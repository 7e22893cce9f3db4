// Whatever bytes arrive, frames either decode or are refused; what decodes encodes to the same bytes.
#include <cstdint>
#include <string>

#include "wire/codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  hf::wire::FrameReader reader;
  reader.feed(input);
  for (auto body = reader.next(); body && *body; body = reader.next()) {
    (void)hf::wire::decode_to_engine(**body);
  }
  if (const auto message = hf::wire::decode_to_engine(input)) {
    std::string again;
    hf::wire::encode(*message, again);
    HF_ASSERT(std::string_view(again).substr(4) == input);
  }
  (void)hf::wire::decode_to_server(input);
  return 0;
}
