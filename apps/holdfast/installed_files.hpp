#pragma once
// Files that come with the programs: beside them when installed or built, or in the source tree.

#include <string>

#include "base/result.hpp"

namespace hf::cli {

/// Folder of this program.
std::string program_folder();
/// Path of a shipped file. Errors: not_found, with the places looked at.
Result<std::string> installed_file(const std::string& name);

}  // namespace hf::cli
