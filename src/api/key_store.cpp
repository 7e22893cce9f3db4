#include "api/key_store.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <thread>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "api/key_table.hpp"
#include "api/private_files.hpp"
#include "base/bounded_queue.hpp"
#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/log.hpp"
#include "base/mutex.hpp"

namespace hf::api {
namespace {

constexpr const char* kKeysFile = "keys.json";
constexpr const char* kPepperFile = "pepper";
constexpr const char* kTokenFile = "setup_token";
constexpr std::size_t kFileBytesMax = std::size_t{8} << 20U;
constexpr std::size_t kKeysMax = 10'000;
constexpr std::size_t kPepperBytes = 32;
constexpr std::size_t kSecretBytes = 32;  // 43 characters of base64url.
constexpr std::size_t kIdCharacters = 12;
constexpr std::size_t kSecretTextMax = 256;
constexpr std::size_t kWaitingMax = 64;
constexpr std::int64_t kTokenSeconds = std::int64_t{24} * 60 * 60;
constexpr std::string_view kKeyStart = "hf_";
constexpr std::array kAllPermissions = {Permission::infer, Permission::models, Permission::metrics,
                                        Permission::keys};

std::int64_t unix_now() {
  return std::time(nullptr);
}

std::string new_id() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz234567";  // 32: no bias.
  std::string id;
  for (const char byte : random_bytes(kIdCharacters)) {
    id += kLetters[static_cast<unsigned char>(byte) % kLetters.size()];
  }
  return id;
}

/// The id in "hf_ID_SECRET"; empty if it has no such form.
std::string_view id_of(std::string_view secret) {
  if (secret.size() > kSecretTextMax || !secret.starts_with(kKeyStart)) return {};
  secret.remove_prefix(kKeyStart.size());
  const auto end = secret.find('_');
  return end == std::string_view::npos ? std::string_view() : secret.substr(0, end);
}

/// What tells one state of a file from the next.
struct FileMark {
  ino_t inode = 0;
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
  std::int64_t bytes = 0;
  bool operator==(const FileMark&) const = default;
};

FileMark mark_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size};
}

Result<KeyTable> read_table(const std::string& folder) {
  const auto text = read_private_file(folder + "/" + kKeysFile, kFileBytesMax);
  if (!text && text.error().code == Errc::not_found) return KeyTable();
  if (!text) return std::unexpected(text.error());
  return KeyTable::parse(*text);
}

Result<std::string> read_pepper(const std::string& folder) {
  const auto path = folder + "/" + kPepperFile;
  auto pepper = read_private_file(path, kPepperBytes);
  if (!pepper && pepper.error().code == Errc::not_found) {
    HF_TRY(create_private_file(folder, kPepperFile, random_bytes(kPepperBytes)));
    pepper = read_private_file(path, kPepperBytes);
  }
  if (pepper && pepper->size() != kPepperBytes) {
    return fail(Errc::data_corrupt,
                "The file keys/pepper is damaged; restore it from a backup, or move the keys folder "
                "away and make new keys.",
                path);
  }
  return pepper;
}

Fault unknown_key() {
  return {Error{Errc::unauthenticated, "Incorrect API key provided; check it, or make a new one."},
          kKeyUnknown};
}

class FileKeyStore final : public KeyStore {
 public:
  FileKeyStore(std::string folder, std::string pepper, KeyStoreOptions options)
      : folder_(std::move(folder)),
        pepper_(std::move(pepper)),
        options_(std::move(options)),
        worker_([this] {
          while (auto work = work_.pop()) (*work)();
        }) {}
  ~FileKeyStore() override {
    work_.close();
    worker_.join();
  }
  FileKeyStore(const FileKeyStore&) = delete;
  FileKeyStore& operator=(const FileKeyStore&) = delete;

  Result<CreatedKey> create(const NewKey& key) override {
    const auto lock = HF_TRY(lock_private_folder(folder_));
    return add(HF_TRY(read_table(folder_)), key);
  }

  std::vector<KeyRecord> list() override {
    std::vector<KeyRecord> found;
    const auto now_known = table();
    if (!now_known) return found;
    for (const auto& [id, key] : (*now_known)->keys) found.push_back(key.record);
    std::ranges::stable_sort(found, {}, &KeyRecord::created);
    return found;
  }

  Result<void> revoke(std::string_view id) override {
    const auto lock = HF_TRY(lock_private_folder(folder_));
    auto changed = HF_TRY(read_table(folder_));
    const auto found = changed.keys.find(id);
    if (found == changed.keys.end()) {
      return fail(Errc::not_found, "There is no API key of this id; list the keys to see theirs.");
    }
    changed.keys.erase(found);
    return save(changed);
  }

  Checked<KeyRecord> check(std::string_view secret) override {
    const auto now_known = table();
    if (!now_known) {
      return std::unexpected(Fault({Errc::unavailable, "The API keys cannot be read.",
                                    now_known.error().message + " " + now_known.error().detail}));
    }
    const auto& keys = (*now_known)->keys;
    const auto found = keys.find(id_of(secret));
    if (found == keys.end()) return std::unexpected(unknown_key());
    if (!equal_constant_time(hmac_sha256_hex(pepper_, secret), found->second.mac)) {
      return std::unexpected(unknown_key());
    }
    const auto& record = found->second.record;
    if (record.key.expires != 0 && record.key.expires <= options_.now()) {
      return std::unexpected(Fault(
          {Errc::unauthenticated, "This API key has expired; make a new one."}, kKeyExpired));
    }
    return record;
  }

  Result<std::optional<std::string>> setup_token() override { return token(Renew::when_old); }
  Result<std::optional<std::string>> renew_setup_token() override { return token(Renew::always); }

  Result<CreatedKey> claim(std::string_view given, std::string_view name) override {
    const auto lock = HF_TRY(lock_private_folder(folder_));
    auto known = HF_TRY(read_table(folder_));
    if (known.set_up()) {
      return fail(Errc::failed_precondition,
                  "Setup is done already: there is an API key. Use it to make more.");
    }
    const auto right = current_token();
    if (!right || !equal_constant_time(given, *right)) {
      return fail(Errc::permission_denied,
                  "The setup token is wrong, used or older than 24 hours; restart the server to get "
                  "a new one.");
    }
    auto created = HF_TRY(add(std::move(known), {.name = std::string(name),
                                                 .permissions = {kAllPermissions.begin(),
                                                                 kAllPermissions.end()}}));
    remove_token();
    return created;
  }

  Result<void> later(std::move_only_function<void()> work) override {
    return work_.push(std::move(work));
  }

 private:
  enum class Renew : std::uint8_t { when_old, always };
  using Snapshot = std::shared_ptr<const KeyTable>;

  // With the folder locked.
  Result<CreatedKey> add(KeyTable known, const NewKey& key) {
    if (!valid_key_name(key.name)) {
      return fail(Errc::invalid_argument,
                  "A key's name must have 1 to 64 letters, digits, '_' or '-'.");
    }
    if (key.permissions.empty()) {
      return fail(Errc::invalid_argument, "A key needs at least one permission.");
    }
    if (known.keys.size() >= kKeysMax) {
      return fail(Errc::resource_exhausted, "There are 10,000 keys; revoke some first.");
    }
    CreatedKey created{.record = {.id = new_id(), .key = key, .created = options_.now()}};
    while (known.keys.contains(created.record.id)) created.record.id = new_id();
    created.secret = std::string(kKeyStart) + created.record.id + "_" +
                     base64url(random_bytes(kSecretBytes));
    known.keys.emplace(created.record.id,
                       StoredKey{created.record, hmac_sha256_hex(pepper_, created.secret)});
    HF_TRY_VOID(save(known));
    return created;
  }

  // With the folder locked.
  Result<void> save(const KeyTable& changed) {
    HF_TRY_VOID(write_private_file(folder_, kKeysFile, changed.text()));
    const Lock lock(mutex_);
    looked_ = {};
    return {};
  }

  /// The table as the file has it now, or had it a moment ago.
  Result<Snapshot> table() {
    const Lock lock(mutex_);
    const auto now = clock_.now();
    if (looked_ != TimePoint() && now - looked_ < options_.look_after) return table_;
    looked_ = now;
    const auto mark = mark_of(folder_ + "/" + kKeysFile);
    if (table_ && *table_ != nullptr && mark == mark_) return table_;
    const bool told = !table_ && mark == mark_;
    mark_ = mark;
    auto read = read_table(folder_);
    if (!read) {
      if (!told) log::failure("API keys", read.error());
      table_ = std::unexpected(read.error());
    } else {
      table_ = std::make_shared<const KeyTable>(*std::move(read));
    }
    return table_;
  }

  // With the folder locked.
  [[nodiscard]] std::optional<std::string> current_token() const {
    const auto path = folder_ + "/" + kTokenFile;
    auto text = read_private_file(path, kSecretTextMax);
    if (!text) return std::nullopt;
    while (text->ends_with('\n')) text->pop_back();
    const auto written = mark_of(path).seconds;
    const auto now = options_.now();
    // A clock set back must not make a token live on.
    if (text->empty() || now - written >= kTokenSeconds || written - now >= kTokenSeconds) {
      return std::nullopt;
    }
    return *text;
  }

  void remove_token() const { ::unlink((folder_ + "/" + kTokenFile).c_str()); }

  Result<std::optional<std::string>> token(Renew renew) {
    const auto lock = HF_TRY(lock_private_folder(folder_));
    const auto known = HF_TRY(read_table(folder_));
    if (known.set_up()) {
      remove_token();
      return std::nullopt;
    }
    if (renew == Renew::when_old) {
      if (auto there = current_token()) return there;
    }
    auto fresh = base64url(random_bytes(kSecretBytes));
    HF_TRY_VOID(write_private_file(folder_, kTokenFile, fresh + "\n"));
    return fresh;
  }

  const std::string folder_;
  const std::string pepper_;
  const KeyStoreOptions options_;
  const SteadyClock clock_;
  Mutex mutex_;
  TimePoint looked_ HF_GUARDED_BY(mutex_) = {};  // Default: look at once.
  FileMark mark_ HF_GUARDED_BY(mutex_) = {};
  Result<Snapshot> table_ HF_GUARDED_BY(mutex_) = Snapshot();
  BoundedQueue<std::move_only_function<void()>> work_{kWaitingMax};
  std::thread worker_;  // Last: it uses the others.
};

}  // namespace

bool valid_key_name(std::string_view name) {
  constexpr std::size_t kNameMax = 64;
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, good);
}

Result<std::unique_ptr<KeyStore>> KeyStore::open(const std::string& folder,
                                                 const KeyStoreOptions& options) {
  HF_TRY_VOID(make_private_folder(folder));
  auto pepper = HF_TRY(read_pepper(folder));
  HF_TRY(read_table(folder));
  auto chosen = options;
  if (!chosen.now) chosen.now = unix_now;
  return std::make_unique<FileKeyStore>(folder, std::move(pepper), std::move(chosen));
}

}  // namespace hf::api
