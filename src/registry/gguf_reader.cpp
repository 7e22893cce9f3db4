#include "registry/gguf_reader.hpp"

#include <algorithm>
#include <array>
#include <format>

namespace hf::registry {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;

std::unexpected<Error> truncated() {
  return fail(Errc::data_corrupt,
              "The model file ends before its header does; it is truncated, fetch it again.");
}

}  // namespace

Result<void> GgufReader::take(std::span<char> out) {
  if (out.size() > left()) return truncated();
  while (!out.empty()) {
    const auto inside = offset_ - buffer_offset_;
    if (offset_ < buffer_offset_ || inside >= buffer_.size()) {
      buffer_.resize(kBufferBytes);
      const auto got = HF_TRY(source_(offset_, buffer_));
      buffer_.resize(got);
      buffer_offset_ = offset_;
      if (got == 0) return truncated();
      continue;
    }
    const auto count = std::min<std::uint64_t>(out.size(), buffer_.size() - inside);
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(inside), count, out.begin());
    out = out.subspan(count);
    offset_ += count;
  }
  return {};
}

Result<std::uint64_t> GgufReader::number(std::size_t width) {
  std::array<char, 8> raw{};
  HF_TRY_VOID(take(std::span(raw).first(width)));
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) value = value << 8U | static_cast<unsigned char>(raw.at(i));
  return value;
}

Result<std::uint32_t> GgufReader::number32() {
  return static_cast<std::uint32_t>(HF_TRY(number(4)));
}

Result<std::uint64_t> GgufReader::string_length() {
  const auto length = HF_TRY(number(8));
  if (length > left()) return truncated();
  return length;
}

Result<std::string> GgufReader::string(std::uint64_t limit, std::string_view what) {
  const auto length = HF_TRY(string_length());
  if (length > limit) {
    return fail(
        Errc::data_corrupt,
        std::format("The model file has {} of {} bytes, more than {}; it is damaged or hostile.",
                    what, length, limit));
  }
  return bytes(length);
}

Result<std::string> GgufReader::bytes(std::uint64_t length) {
  std::string text(length, '\0');
  HF_TRY_VOID(take(text));
  return text;
}

Result<void> GgufReader::skip(std::uint64_t length) {
  if (length > left()) return truncated();
  offset_ += length;
  return {};
}

}  // namespace hf::registry
