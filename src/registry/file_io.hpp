#pragma once
// Files the way the registry needs them: whole or not at all, and errors in words. Any thread.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace hf::registry {

/// Owns a file descriptor.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// The last system call's failure as an error: resource_exhausted for a full disk or quota,
/// failed_precondition for missing rights, not_found, else unavailable. `doing`: "write the model".
Error system_error(std::string_view doing, const std::string& path, int error_number);

/// `flags` as for open(2); new files get mode 0644.
Result<FileHandle> open_file(const std::string& path, int flags, std::string_view doing);
Result<std::uint64_t> file_bytes(const FileHandle& file, const std::string& path);
Result<void> write_all(const FileHandle& file, std::string_view bytes, const std::string& path);
/// Data and size are on the disk when it returns.
Result<void> sync_file(const FileHandle& file, const std::string& path);
/// Names made, changed or removed in `folder` are on the disk when it returns.
Result<void> sync_folder(const std::string& folder);
/// Errors: not_found; data_corrupt, longer than `limit_bytes`.
Result<std::string> read_small_file(const std::string& path, std::uint64_t limit_bytes);
/// After a crash the file has either its old or its new content. `folder/name` must be a file.
Result<void> write_atomically(const std::string& folder, const std::string& name,
                              std::string_view text);
/// Both names must be on one file system; durable when it returns.
Result<void> rename_durably(const std::string& from, const std::string& to);
/// Calls `sink` for each piece of the file, from its start. Stops at the first error.
Result<void> read_through(const FileHandle& file, const std::string& path,
                          const std::function<Result<void>(std::string_view)>& sink);
/// What an unprivileged writer may still use on the folder's file system.
Result<std::uint64_t> free_bytes(const std::string& folder);
/// "97.7 MB": decimal units, one digit after the point.
std::string human_bytes(std::uint64_t bytes);
/// The part after the last '/'.
std::string file_name(std::string_view path);

/// Orders writers of one folder, across processes; gone with its holder, however that ends.
class FolderLock {
 public:
  /// Waits until it is free.
  static Result<FolderLock> take(const std::string& folder);

 private:
  explicit FolderLock(FileHandle file) : file_(std::move(file)) {}
  FileHandle file_;
};

}  // namespace hf::registry
