#pragma once
// This machine's own configuration for Python packages, read the way pip reads it, so that whoever
// can install a package can pull a model. Any thread.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "registry/http_client.hpp"

namespace hf::registry {

/// Looks up an environment variable; nothing if it is not set.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
Environment process_environment();
/// The variable, or empty.
std::string value_of(const Environment& environment, std::string_view name);

struct PipConfig {
  std::vector<std::string> indexes = {};        ///< Main index first, without a slash at the end.
  std::vector<std::string> find_links = {};     ///< Folders, file: addresses or pages.
  std::vector<std::string> trusted_hosts = {};  ///< "host" or "host:port", lower case.
  std::string ca_file = {};
  std::string client_certificate = {};
  std::string proxy = {};
  std::string netrc_file = {};
  std::chrono::seconds timeout{0};  ///< 0: not set.
};

/// From PIP_* variables over PIP_CONFIG_FILE, the virtual environment's, the user's and
/// `system_files`; the first that has a setting wins. PIP_CONFIG_FILE=/dev/null: no files at all.
/// Errors: data_corrupt, a file is no INI file.
Result<PipConfig> read_pip_config(const Environment& environment,
                                  const std::vector<std::string>& system_files = {
                                      "/etc/xdg/pip/pip.conf", "/etc/pip.conf"});

/// `base` with what pip is told about certificates, proxy and this address's host.
HttpSettings settings_for(const PipConfig& config, const HttpSettings& base,
                          const std::string& address);

}  // namespace hf::registry
