#include "holdfastd/data_lock.hpp"

#include <array>
#include <cerrno>
#include <filesystem>
#include <format>
#include <string_view>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace hf::daemon {
namespace {

constexpr mode_t kOwnerOnly = 0600;

std::string holder_of(const registry::FileHandle& file) {
  std::array<char, 16> text{};
  const auto count = ::pread(file.get(), text.data(), text.size(), 0);
  const std::string_view read(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  return std::string(read.substr(0, read.find('\n')));
}

}  // namespace

Result<registry::FileHandle> take_data_folder(const std::string& folder) {
  std::error_code problem;
  if (std::filesystem::create_directories(folder, problem)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, problem);
  }
  const auto path = folder + "/holdfastd.lock";
  registry::FileHandle file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly));
  if (file.get() < 0) {
    return std::unexpected(registry::system_error("use the data folder", path, errno));
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Errc::failed_precondition,
                std::format("Another server (process {}) runs with {}; stop it first, or give this "
                            "one its own --data-dir.",
                            holder_of(file), folder));
  }
  const auto text = std::format("{}\n", ::getpid());
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), text.data(), text.size(), 0) < 0) {
    return std::unexpected(registry::system_error("write in the data folder", path, errno));
  }
  return file;
}

}  // namespace hf::daemon
