#pragma once
// The keys file as a value: read, changed by a copy, written. Any thread.

#include <map>
#include <string>
#include <string_view>

#include "api/key_store.hpp"

namespace hf::api {

struct StoredKey {
  KeyRecord record = {};
  std::string mac = {};  ///< HMAC-SHA-256 of the secret, hex.
};

struct KeyTable {
  std::map<std::string, StoredKey, std::less<>> keys = {};  ///< By id.

  /// There is a key that may make keys.
  [[nodiscard]] bool set_up() const;
  [[nodiscard]] std::string text() const;
  /// Errors: data_corrupt.
  static Result<KeyTable> parse(const std::string& text);
};

}  // namespace hf::api
