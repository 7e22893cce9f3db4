#pragma once
// Small files that nobody but their owner may read, written whole or not at all. Any thread.

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "registry/file_io.hpp"

namespace hf::api {

/// Makes `folder` (0700) with its parents. Errors: failed_precondition, no right to.
Result<void> make_private_folder(const std::string& folder);
/// Mode 0600; after a crash the file has either its old or its new content.
Result<void> write_private_file(const std::string& folder, const std::string& name,
                                std::string_view text);
/// As write_private_file, but for a file that must not be there; false: another process was first.
Result<bool> create_private_file(const std::string& folder, const std::string& name,
                                 std::string_view text);
/// Errors: not_found; data_corrupt, longer than `limit_bytes`.
Result<std::string> read_private_file(const std::string& path, std::size_t limit_bytes);
/// Holds folder/lock against other processes until it goes; waits for it.
Result<registry::FileHandle> lock_private_folder(const std::string& folder);

}  // namespace hf::api
