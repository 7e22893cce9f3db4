#pragma once
// One server a data folder. Owner: main, for as long as the server runs.

#include <string>

#include "base/result.hpp"
#include "registry/file_io.hpp"

namespace hf::daemon {

/// Makes the folder and takes it; free again when the handle or the process goes, however.
/// Errors: failed_precondition, another server has it (its process is named), or no right to.
Result<registry::FileHandle> take_data_folder(const std::string& folder);

}  // namespace hf::daemon
