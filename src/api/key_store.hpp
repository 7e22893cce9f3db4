#pragma once
// API keys until identity (users, roles, tokens) takes this place: made with the one-time setup
// token or by the command line, kept as HMACs in one file that server and CLI share.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/fault.hpp"
#include "api/service.hpp"
#include "base/result.hpp"

namespace hf::api {

struct NewKey {
  std::string name = {};
  std::vector<Permission> permissions = {Permission::infer, Permission::models};
  wire::Priority priority_max = wire::Priority::normal;
  std::int64_t expires = 0;  ///< Unix seconds; 0: never.
};

struct KeyRecord {
  std::string id = {};  ///< 12 letters and digits; part of the key's text.
  NewKey key = {};
  std::int64_t created = 0;
};

struct CreatedKey {
  KeyRecord record = {};
  std::string secret = {};  ///< "hf_" + id + "_" + 43 characters; shown once, never stored.
};

/// Threads: any. Another process may change the folder; changes are seen within a second.
/// Nothing but an HMAC-SHA-256 under a random key file (0600) is stored of a secret.
class KeyStore {
 public:
  /// Makes the folder (0700) and its files. Errors: failed_precondition, it cannot be made or read;
  /// data_corrupt, the file is damaged (it is left alone).
  static Result<std::unique_ptr<KeyStore>> open(const std::string& folder);
  virtual ~KeyStore() = default;

  virtual Result<CreatedKey> create(const NewKey& key) = 0;
  [[nodiscard]] virtual std::vector<KeyRecord> list() = 0;
  /// Errors: not_found.
  virtual Result<void> revoke(std::string_view id) = 0;
  /// The record of a key that may be used now.
  /// Errors: unauthenticated (unknown or expired, told by Fault::code); unavailable, store unreadable.
  virtual Checked<KeyRecord> check(std::string_view secret) = 0;

  /// The single-use token of this run, valid 24 hours, written to setup_token (0600); nothing once
  /// a key exists.
  virtual Result<std::optional<std::string>> setup_token() = 0;
  /// Spends the token for the first key (all permissions).
  /// Errors: permission_denied, wrong, used or old; failed_precondition, set up already.
  virtual Result<CreatedKey> claim(std::string_view token, std::string_view name) = 0;
};

}  // namespace hf::api
