#pragma once
// API keys until identity (users, roles, tokens) takes this place: made with the one-time setup
// token or by the command line, kept as HMACs in one file that server and CLI share.

#include <chrono>
#include <cstdint>
#include <functional>
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
  std::string name = {};  ///< See valid_key_name.
  std::vector<Permission> permissions = {Permission::infer, Permission::models};
  wire::Priority priority_max = wire::Priority::normal;
  std::int64_t expires = 0;  ///< Unix seconds; 0: never.
};

/// 1 to 64 letters, digits, '_' or '-'.
bool valid_key_name(std::string_view name);

struct KeyRecord {
  std::string id = {};  ///< 12 letters and digits; part of the key's text.
  NewKey key = {};
  std::int64_t created = 0;
};

struct CreatedKey {
  KeyRecord record = {};
  std::string secret = {};  ///< "hf_" + id + "_" + 43 characters; shown once, never stored.
};

struct KeyStoreOptions {
  std::function<std::int64_t()> now = {};      ///< Unix seconds; empty: the machine's.
  std::chrono::milliseconds look_after{20};  ///< The file is looked at again that often at most.
};

/// Threads: any. Another process may change the folder; changes are seen within a second.
/// Nothing but an HMAC-SHA-256 under a random key file (0600) is stored of a secret.
/// create, revoke, setup_token and claim block on the disk: io threads leave them to later().
class KeyStore {
 public:
  /// Makes the folder (0700) and its files. Errors: failed_precondition, it cannot be made or read;
  /// data_corrupt, the file is damaged (it is left alone).
  static Result<std::unique_ptr<KeyStore>> open(const std::string& folder,
                                                const KeyStoreOptions& options = {});
  virtual ~KeyStore() = default;

  /// Errors: invalid_argument, name or permissions; resource_exhausted, too many keys or disk full.
  virtual Result<CreatedKey> create(const NewKey& key) = 0;
  [[nodiscard]] virtual std::vector<KeyRecord> list() = 0;
  /// Errors: not_found.
  virtual Result<void> revoke(std::string_view id) = 0;
  /// The record of a key that may be used now.
  /// Errors: unauthenticated (unknown or expired, told by Fault::code); unavailable, store unreadable.
  virtual Checked<KeyRecord> check(std::string_view secret) = 0;

  /// The single-use token, valid 24 hours, as it is in the file setup_token (0600), or a new one if
  /// that is older; nothing once there is a key that may make keys.
  virtual Result<std::optional<std::string>> setup_token() = 0;
  /// Replaces the token, whatever its age; else as setup_token. The server does so at its start.
  virtual Result<std::optional<std::string>> renew_setup_token() = 0;
  /// Spends the token for the first key, which has all permissions.
  /// Errors: permission_denied, wrong, used or old; failed_precondition, set up already.
  virtual Result<CreatedKey> claim(std::string_view token, std::string_view name) = 0;

  /// Runs work on the store's own thread, in order. Errors: resource_exhausted, too much waits.
  virtual Result<void> later(std::move_only_function<void()> work) = 0;
};

inline constexpr std::string_view kKeyExpired = "expired_api_key";
inline constexpr std::string_view kKeyUnknown = "invalid_api_key";

}  // namespace hf::api
