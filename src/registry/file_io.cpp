#include "registry/file_io.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <format>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace hf::registry {

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Error system_error(std::string_view doing, const std::string& path, int error_number) {
  std::array<char, 256> buffer{};
  const char* reason = ::strerror_r(error_number, buffer.data(), buffer.size());
  const auto detail = std::format("{}: {}", path, reason);
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return {
          Errc::resource_exhausted,
          std::format("Cannot {}: the disk is full; free some space or use another folder.", doing),
          detail};
    case EACCES:
    case EPERM:
    case EROFS:
      return {Errc::failed_precondition,
              std::format("Cannot {}: no right to; run as the folder's owner or choose another.",
                          doing),
              detail};
    case ENOENT:
    case ENOTDIR:
      return {Errc::not_found, std::format("Cannot {}: there is no such file.", doing), detail};
    default:
      return {Errc::unavailable, std::format("Cannot {}: {}.", doing, reason), detail};
  }
}

Result<FileHandle> open_file(const std::string& path, int flags, std::string_view doing) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (descriptor < 0) return std::unexpected(system_error(doing, path, errno));
  return FileHandle(descriptor);
}

Result<std::uint64_t> file_bytes(const FileHandle& file, const std::string& path) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) {
    return std::unexpected(system_error("look at a file", path, errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(Errc::invalid_argument, "This is not a regular file; name a file.", path);
  }
  return static_cast<std::uint64_t>(status.st_size);
}

Result<void> write_all(const FileHandle& file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return std::unexpected(system_error("write a file", path, errno));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> sync_file(const FileHandle& file, const std::string& path) {
  if (::fsync(file.get()) != 0) return std::unexpected(system_error("write a file", path, errno));
  return {};
}

Result<void> sync_folder(const std::string& folder) {
  const auto handle = HF_TRY(open_file(folder, O_RDONLY | O_DIRECTORY, "open the models folder"));
  return sync_file(handle, folder);
}

Result<std::string> read_small_file(const std::string& path, std::uint64_t limit_bytes) {
  const auto file = HF_TRY(open_file(path, O_RDONLY, "read a file"));
  std::string text;
  HF_TRY_VOID(read_through(file, path, [&](std::string_view piece) -> Result<void> {
    if (text.size() + piece.size() > limit_bytes) {
      return fail(Errc::data_corrupt,
                  std::format("{} is longer than {} bytes; it is not what it should be.",
                              file_name(path), limit_bytes),
                  path);
    }
    text += piece;
    return {};
  }));
  return text;
}

Result<void> write_atomically(const std::string& folder, const std::string& name,
                              std::string_view text) {
  const auto target = folder + "/" + name;
  const auto temporary = std::format("{}/.{}.{}.tmp", folder, name, ::getpid());
  {
    const auto file =
        HF_TRY(open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, "write in the models folder"));
    auto written = write_all(file, text, temporary);
    if (written) written = sync_file(file, temporary);
    if (!written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  return rename_durably(temporary, target);
}

Result<void> rename_durably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return std::unexpected(system_error("put a file in place", to, errno));
  }
  return sync_folder(to.substr(0, to.rfind('/')));
}

Result<void> read_through(const FileHandle& file, const std::string& path,
                          const std::function<Result<void>(std::string_view)>& sink) {
  std::vector<char> buffer(1U << 18U);
  std::uint64_t at = 0;
  while (true) {
    const auto count = ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(system_error("read a file", path, errno));
    if (count == 0) return {};
    HF_TRY_VOID(sink(std::string_view(buffer.data(), static_cast<std::size_t>(count))));
    at += static_cast<std::uint64_t>(count);
  }
}

Result<std::uint64_t> free_bytes(const std::string& folder) {
  struct statvfs status{};
  if (::statvfs(folder.c_str(), &status) != 0) {
    return std::unexpected(system_error("look at the models folder", folder, errno));
  }
  return std::uint64_t{status.f_bavail} * std::uint64_t{status.f_frsize};
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return std::format("{} B", bytes);
  static constexpr std::array kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return std::format("{:.1f} {}", value, kUnits.at(unit));
}

std::string file_name(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
  auto file = HF_TRY(open_file(folder + "/lock", O_RDWR | O_CREAT, "write in the models folder"));
  while (::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR)
      return std::unexpected(system_error("lock the models folder", folder, errno));
  }
  return FolderLock(std::move(file));
}

}  // namespace hf::registry
