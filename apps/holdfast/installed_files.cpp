#include "holdfast/installed_files.hpp"

#include <filesystem>
#include <format>

namespace hf::cli {

std::string program_folder() {
  std::error_code problem;
  return std::filesystem::read_symlink("/proc/self/exe", problem).parent_path().string();
}

Result<std::string> installed_file(const std::string& name) {
  const auto here = program_folder();
  std::string looked;
  for (const auto& folder : {here, here + "/../share/holdfast", here + "/../../../packaging"}) {
    const auto path = folder + "/" + name;
    if (std::filesystem::exists(path)) return path;
    looked += (looked.empty() ? "" : ", ") + folder;
  }
  return fail(Errc::not_found, std::format("{} is missing beside the program; install Holdfast again.", name),
              looked);
}

}  // namespace hf::cli
