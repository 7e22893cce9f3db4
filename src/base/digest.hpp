#pragma once
// SHA-256, HMAC, random bytes and hex, on OpenSSL. Any thread; one Sha256 per thread.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace hf {

/// Incremental SHA-256 (FIPS 180-4).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  /// 64 lower-case hex digits. Call once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 64 lower-case hex digits.
std::string sha256_hex(std::string_view bytes);
/// HMAC-SHA-256 (RFC 2104), 64 lower-case hex digits.
std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);
/// `count` bytes from the operating system's generator; aborts if there are none to be had.
std::string random_bytes(std::size_t count);
std::string hex(std::string_view bytes);
/// base64url without padding (RFC 4648 section 5).
std::string base64url(std::string_view bytes);
/// base64 with padding (RFC 4648 section 4).
std::string base64(std::string_view bytes);
/// Compares without leaking where they differ; lengths may leak.
bool equal_constant_time(std::string_view left, std::string_view right);

}  // namespace hf
