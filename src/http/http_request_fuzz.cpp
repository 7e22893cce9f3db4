// Any bytes, in any pieces: no crash, bounded memory, and the same requests whatever the pieces.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.hpp"
#include "http/request_reader.hpp"
#include "http/request_rules.hpp"

namespace {

using hf::http::ReadState;
using hf::http::RequestReader;
using hf::http::valid_request_id;

std::vector<std::string> read_all(std::string_view bytes, std::size_t piece) {
  RequestReader reader({.body_bytes_max = 4096, .header_bytes_max = 1024});
  std::vector<std::string> seen;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    auto state = reader.feed(bytes.substr(at, piece));
    for (; state == ReadState::complete; state = reader.state()) {
      const auto parsed = reader.take();
      const auto& request = parsed.request;
      HF_ASSERT(!request.path.empty() && (request.path[0] == '/' || request.path == "*"));
      HF_ASSERT(hf::utf8::valid(request.path) && request.body.size() <= 4096);
      HF_ASSERT(valid_request_id(request.id));
      seen.push_back(request.method + " " + request.path + "?" + request.query + " " + request.body);
    }
    HF_ASSERT(reader.buffered_bytes() <= 8192 + 1024 + piece);
  }
  if (reader.state() == ReadState::refused) {
    HF_ASSERT(reader.fault().status >= 400 && !reader.fault().message.empty());
    seen.push_back("refused");
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  HF_ASSERT(read_all(text, size + 1) == read_all(text, 1));
  return 0;
}
