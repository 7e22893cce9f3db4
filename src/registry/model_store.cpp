#include "registry/model_store.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <format>
#include <set>
#include <system_error>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "base/log.hpp"
#include "registry/file_io.hpp"
#include "registry/flat_json.hpp"
#include "registry/gguf_header.hpp"

namespace hf::registry {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kManifestBytesMax = 64 * 1024;
constexpr std::string_view kManifestEnd = ".json";
constexpr std::string_view kBlobStart = "sha256-";

std::string manifests_folder(const std::string& folder) {
  return folder + "/manifests";
}

bool valid_digest(std::string_view digest) {
  return digest.size() == 64 &&
         digest.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<ModelRecord> parse_manifest(std::string_view name, std::string_view text) {
  const auto flat = FlatJson::parse(text).value_or(FlatJson());
  ModelRecord record{.name = flat.text("name"),
                     .digest = flat.text("digest"),
                     .bytes = flat.count("bytes"),
                     .licence = flat.text("licence"),
                     .source = flat.text("source"),
                     .added = static_cast<std::int64_t>(flat.count("added")),
                     .kind = flat.text("kind"),
                     .base = flat.text("base"),
                     .path = {}};
  if (record.name != name || !valid_digest(record.digest)) {
    return fail(
        Errc::data_corrupt,
        std::format("The entry of model {} is damaged; remove it and pull it again.", name));
  }
  return record;
}

std::string manifest_text(const ModelRecord& record) {
  FlatJson flat;
  flat.set("name", record.name);
  flat.set("digest", record.digest);
  flat.set("bytes", static_cast<std::int64_t>(record.bytes));
  flat.set("licence", record.licence);
  flat.set("source", record.source);
  flat.set("added", record.added);
  flat.set("kind", record.kind);
  flat.set("base", record.base);
  return flat.write();
}

// The digests that names use. A damaged manifest is an error: its file must not count as unused.
Result<std::set<std::string>> used_digests(const std::string& folder) {
  std::set<std::string> used;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(manifests_folder(folder), error)) {
    const auto file = entry.path().filename().string();
    if (file.starts_with('.') || !file.ends_with(kManifestEnd)) continue;
    const auto name = file.substr(0, file.size() - kManifestEnd.size());
    const auto text = HF_TRY(read_small_file(entry.path().string(), kManifestBytesMax));
    used.insert(HF_TRY(parse_manifest(name, text)).digest);
  }
  if (error)
    return fail(Errc::unavailable, "Cannot list the models folder; check its rights.", folder);
  return used;
}

bool held_by_a_process(const std::string& path) {
  const FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0;
}

// Puts the content of `from` at `to`: shared blocks where the file system can, else a second name
// for the same file, else a copy.
Result<void> bring_in(const std::string& from, const std::string& to) {
  ::unlink(to.c_str());
  const auto source = HF_TRY(open_file(from, O_RDONLY, "read the model file"));
  {
    const auto target = HF_TRY(open_file(to, O_WRONLY | O_CREAT | O_TRUNC, "write the model"));
    if (::ioctl(target.get(), FICLONE, source.get()) == 0) return sync_file(target, to);
  }
  ::unlink(to.c_str());
  if (::link(from.c_str(), to.c_str()) == 0) return {};
  const auto target = HF_TRY(open_file(to, O_WRONLY | O_CREAT | O_TRUNC, "write the model"));
  auto copied = read_through(source, from,
                             [&](std::string_view piece) { return write_all(target, piece, to); });
  if (copied) copied = sync_file(target, to);
  if (!copied) ::unlink(to.c_str());
  return copied;
}

std::uint64_t remove_file(const fs::path& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error || !fs::remove(path, error)) return 0;
  return bytes;
}

}  // namespace

bool valid_model_name(std::string_view name) {
  if (name.empty() || name.size() > 96) return false;
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return plain(name.front()) && std::ranges::all_of(name, [&](char c) {
           return plain(c) || c == '.' || c == '_' || c == '-';
         });
}

std::string model_name_from_file(std::string_view file) {
  std::string name;
  for (const char c : file_name(file)) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool usable = valid_model_name(std::string(1, lower)) || lower == '.' || lower == '_';
    if (usable) {
      name += lower;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  name.erase(0, std::min(name.find_first_not_of("._-"), name.size()));
  if (name.size() > 96) name.resize(96);
  return name;
}

Result<ModelStore> ModelStore::open(const std::string& folder) {
  std::error_code error;
  const auto absolute = fs::absolute(folder, error).lexically_normal().string();
  for (const auto& wanted : {absolute + "/blobs", manifests_folder(absolute)}) {
    fs::create_directories(wanted, error);
    if (error || ::access(wanted.c_str(), W_OK | X_OK) != 0) {
      return fail(Errc::failed_precondition,
                  std::format("Cannot write in the models folder {}; give the right to or choose "
                              "another folder.",
                              absolute),
                  wanted);
    }
  }
  return ModelStore(absolute);
}

std::string ModelStore::blob_path(std::string_view digest) const {
  return std::format("{}/{}{}", blobs_folder(), kBlobStart, digest);
}

Result<std::vector<ModelRecord>> ModelStore::list() const {
  std::vector<ModelRecord> records;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(manifests_folder(folder_), error)) {
    const auto file = entry.path().filename().string();
    if (file.starts_with('.') || !file.ends_with(kManifestEnd)) continue;
    auto record = find(std::string_view(file).substr(0, file.size() - kManifestEnd.size()));
    if (record) {
      records.push_back(std::move(*record));
    } else if (record.error().code != Errc::not_found) {
      log::failure("models folder", record.error());
    }
  }
  if (error)
    return fail(Errc::unavailable, "Cannot list the models folder; check its rights.", folder_);
  std::ranges::sort(records, {}, &ModelRecord::name);
  return records;
}

Result<ModelRecord> ModelStore::find(std::string_view name) const {
  const auto missing = [&]() -> Result<ModelRecord> {
    std::string names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(manifests_folder(folder_), error)) {
      const auto file = entry.path().filename().string();
      if (!file.ends_with(kManifestEnd) || file.starts_with('.')) continue;
      names += (names.empty() ? "" : ", ") + file.substr(0, file.size() - kManifestEnd.size());
    }
    return fail(Errc::not_found, std::format("There is no model named '{}'; there {}.", name,
                                             names.empty() ? "are none yet" : "are: " + names));
  };
  if (!valid_model_name(name)) return missing();
  const auto path = std::format("{}/{}{}", manifests_folder(folder_), name, kManifestEnd);
  const auto text = read_small_file(path, kManifestBytesMax);
  if (!text) {
    if (text.error().code == Errc::not_found) return missing();
    return std::unexpected(text.error());
  }
  auto record = HF_TRY(parse_manifest(name, *text));
  record.path = blob_path(record.digest);
  struct stat status{};
  if (::stat(record.path.c_str(), &status) != 0 ||
      static_cast<std::uint64_t>(status.st_size) != record.bytes) {
    return fail(Errc::data_corrupt,
                std::format("The file of model {} is missing or has another size; remove the model "
                            "and pull it again.",
                            name),
                record.path);
  }
  return record;
}

Result<void> ModelStore::check_addable(const ModelRecord& record) const {
  if (!valid_model_name(record.name)) {
    return fail(
        Errc::invalid_argument,
        std::format("'{}' cannot be a model's name; use up to 96 of a-z, 0-9, '.', '_', '-', "
                    "starting with a letter or digit.",
                    record.name));
  }
  if (!valid_digest(record.digest)) {
    return fail(Errc::invalid_argument, "A model needs its SHA-256 as 64 lower-case hex digits.");
  }
  const auto known = find(record.name);
  if (known && known->digest != record.digest) {
    return fail(
        Errc::already_exists,
        std::format("There is another model named '{}'; remove it first or choose another name.",
                    record.name));
  }
  return {};
}

Result<void> ModelStore::write_manifest(const ModelRecord& record) {
  return write_atomically(manifests_folder(folder_), record.name + std::string(kManifestEnd),
                          manifest_text(record));
}

Result<void> ModelStore::add(const ModelRecord& record) {
  const auto lock = HF_TRY(FolderLock::take(folder_));
  HF_TRY_VOID(check_addable(record));
  const auto path = blob_path(record.digest);
  const auto blob = HF_TRY(open_file(path, O_RDONLY, "register the model"));
  if (HF_TRY(file_bytes(blob, path)) != record.bytes) {
    return fail(Errc::invalid_argument, "The model's file has another size than its entry says.",
                path);
  }
  return write_manifest(record);
}

Result<void> ModelStore::adopt(const std::string& path, const ModelRecord& record) {
  const auto lock = HF_TRY(FolderLock::take(folder_));
  HF_TRY_VOID(check_addable(record));
  {
    const auto file = HF_TRY(open_file(path, O_RDONLY, "register the model"));
    HF_TRY_VOID(sync_file(file, path));
  }
  HF_TRY_VOID(rename_durably(path, blob_path(record.digest)));
  return write_manifest(record);
}

Result<void> ModelStore::remove(std::string_view name) {
  const auto lock = HF_TRY(FolderLock::take(folder_));
  const auto path = std::format("{}/{}{}", manifests_folder(folder_), name, kManifestEnd);
  if (!valid_model_name(name) || ::access(path.c_str(), F_OK) != 0) {
    return std::unexpected(find(name).error());
  }
  std::string digest;
  if (const auto text = read_small_file(path, kManifestBytesMax)) {
    if (const auto record = parse_manifest(name, *text)) digest = record->digest;
  }
  if (::unlink(path.c_str()) != 0)
    return std::unexpected(system_error("remove the model", path, errno));
  HF_TRY_VOID(sync_folder(manifests_folder(folder_)));
  const auto used = used_digests(folder_);
  if (digest.empty() || !used || used->contains(digest)) return {};
  const auto blob = blob_path(digest);
  if (::unlink(blob.c_str()) != 0 && errno != ENOENT) {
    return std::unexpected(system_error("remove the model's file", blob, errno));
  }
  return sync_folder(blobs_folder());
}

Result<ModelRecord> ModelStore::import_file(const std::string& path, std::string name,
                                            std::string licence) {
  const auto header = HF_TRY(read_gguf_header(path));
  if (name.empty()) name = model_name_from_file(path);
  if (!valid_model_name(name)) HF_TRY_VOID(check_addable({.name = name}));
  std::error_code error;
  const auto temporary = std::format("{}/import-{}-{}.partial", blobs_folder(), ::getpid(), name);
  HF_TRY_VOID(bring_in(fs::canonical(path, error).string(), temporary));
  const auto file = HF_TRY(open_file(temporary, O_RDONLY, "read the model file"));
  Sha256 digest;
  ModelRecord record{.name = name,
                     .licence = licence.empty() ? header.licence : std::move(licence),
                     .source = "file:" + fs::absolute(path, error).string(),
                     .added = std::time(nullptr),
                     .kind = model_kind(header),
                     .base = header.base_model};
  auto done = read_through(file, temporary, [&](std::string_view piece) -> Result<void> {
    digest.update(piece);
    record.bytes += piece.size();
    return {};
  });
  record.digest = digest.hex();
  if (done) done = adopt(temporary, record);
  if (!done) {
    ::unlink(temporary.c_str());
    return std::unexpected(done.error());
  }
  // rename(2) of two names of one file does nothing: then the second name is still there.
  ::unlink(temporary.c_str());
  return find(name);
}

Result<std::uint64_t> ModelStore::collect_garbage() {
  const auto lock = HF_TRY(FolderLock::take(folder_));
  const auto used = HF_TRY(used_digests(folder_));
  std::uint64_t freed = 0;
  const auto now = std::time(nullptr);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(blobs_folder(), error)) {
    const auto file = entry.path().filename().string();
    struct stat status{};
    if (::stat(entry.path().c_str(), &status) != 0) continue;
    const auto age_seconds = now - status.st_mtime;
    const bool blob = file.starts_with(kBlobStart) && file.find('.') == std::string::npos;
    const bool unused = blob
                            ? !used.contains(file.substr(kBlobStart.size())) && age_seconds > 3600
                            : age_seconds > 14 * 86400 && !held_by_a_process(entry.path().string());
    if (unused) freed += remove_file(entry.path());
  }
  // The lock is held, so no writer of a manifest is between its file and the rename.
  for (const auto& entry : fs::directory_iterator(manifests_folder(folder_), error)) {
    if (entry.path().filename().string().ends_with(".tmp")) freed += remove_file(entry.path());
  }
  return freed;
}

}  // namespace hf::registry
