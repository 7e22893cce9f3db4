#include "api/private_files.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <format>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.hpp"

namespace hf::api {
namespace {

constexpr mode_t kOwnerOnly = 0600;
constexpr mode_t kOwnerFolder = 0700;
constexpr std::string_view kWriting = "write in the keys folder";

// What root makes must stay usable for the account that the server runs under.
void give_to_owner_of(const std::string& folder, int descriptor) {
  struct stat owner{};
  if (::geteuid() != 0 || ::stat(folder.c_str(), &owner) != 0) return;
  if (::fchown(descriptor, owner.st_uid, owner.st_gid) != 0) {
    log::warn("{}: a new file stays root's", folder);
  }
}

// Name of the finished temporary file.
Result<std::string> write_aside(const std::string& folder, const std::string& name,
                                std::string_view text) {
  static std::atomic<std::uint64_t> number = 0;
  auto path = std::format("{}/.{}.{}.{}.tmp", folder, name, ::getpid(), ++number);
  ::unlink(path.c_str());  // What a crash of a process of the same number left.
  const registry::FileHandle file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kOwnerOnly));
  if (file.get() < 0) return std::unexpected(registry::system_error(kWriting, path, errno));
  give_to_owner_of(folder, file.get());
  auto written = registry::write_all(file, text, path);
  if (written) written = registry::sync_file(file, path);
  if (!written) {
    ::unlink(path.c_str());
    return std::unexpected(written.error());
  }
  return path;
}

}  // namespace

Result<void> make_private_folder(const std::string& name) {
  auto folder = name;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  std::error_code problem;
  const auto parent = std::filesystem::path(folder).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, problem);
  const int made = ::mkdir(folder.c_str(), kOwnerFolder);
  if (made != 0 && errno != EEXIST) {
    return std::unexpected(registry::system_error("make the keys folder", folder, errno));
  }
  if (made == 0) {
    const registry::FileHandle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (handle.get() >= 0) give_to_owner_of(parent.empty() ? "." : parent.string(), handle.get());
  }
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return std::unexpected(registry::system_error("use the keys folder", folder, errno));
  }
  return {};
}

Result<void> write_private_file(const std::string& folder, const std::string& name,
                                std::string_view text) {
  const auto aside = HF_TRY(write_aside(folder, name, text));
  auto renamed = registry::rename_durably(aside, folder + "/" + name);
  if (!renamed) ::unlink(aside.c_str());
  return renamed;
}

Result<bool> create_private_file(const std::string& folder, const std::string& name,
                                 std::string_view text) {
  const auto aside = HF_TRY(write_aside(folder, name, text));
  const auto target = folder + "/" + name;
  const int linked = ::link(aside.c_str(), target.c_str());
  const int problem = errno;
  ::unlink(aside.c_str());
  if (linked != 0 && problem == EEXIST) return false;
  if (linked != 0) return std::unexpected(registry::system_error(kWriting, target, problem));
  HF_TRY_VOID(registry::sync_folder(folder));
  return true;
}

Result<std::string> read_private_file(const std::string& path, std::size_t limit_bytes) {
  return registry::read_small_file(path, limit_bytes);
}

Result<registry::FileHandle> lock_private_folder(const std::string& folder) {
  const auto path = folder + "/lock";
  registry::FileHandle file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly));
  if (file.get() < 0) return std::unexpected(registry::system_error(kWriting, path, errno));
  give_to_owner_of(folder, file.get());
  while (::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) {
      return std::unexpected(registry::system_error("lock the keys folder", path, errno));
    }
  }
  return file;
}

}  // namespace hf::api
