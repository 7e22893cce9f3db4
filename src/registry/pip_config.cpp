#include "registry/pip_config.hpp"

#include <algorithm>
#include <cstdlib>
#include <format>
#include <map>

#include <unistd.h>

#include "registry/file_io.hpp"

namespace hf::registry {
namespace {

// "section.key" -> value, lines joined by '\n'.
using Settings = std::map<std::string, std::string, std::less<>>;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string normal_key(std::string_view key) {
  std::string out(trimmed(key));
  std::ranges::transform(out, out.begin(), [](char c) {
    if (c == '_') return '-';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (out.starts_with("--")) out.erase(0, 2);
  return out;
}

Result<void> read_ini(const std::string& text, const std::string& path, Settings& settings) {
  std::string section = "";
  std::string key;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    const std::string_view line(text.data() + at, end - at);
    at = end + 1;
    const auto content = trimmed(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    const bool continued = line.front() == ' ' || line.front() == '\t';
    if (continued && !key.empty()) {
      settings[key] += "\n" + std::string(content);
    } else if (content.front() == '[' && content.back() == ']') {
      section = content.substr(1, content.size() - 2);
      key.clear();
    } else {
      const auto split = content.find_first_of("=:");
      if (split == std::string_view::npos || section.empty()) {
        return fail(Errc::data_corrupt, "The pip configuration has a line without '='; correct it.",
                    std::format("{}: {}", path, content));
      }
      key = section + "." + normal_key(content.substr(0, split));
      settings[key] = trimmed(content.substr(split + 1));
    }
  }
  return {};
}

// From the weakest to the strongest.
std::vector<std::string> config_files(const Environment& environment,
                                      const std::vector<std::string>& system_files) {
  const auto chosen = value_of(environment, "PIP_CONFIG_FILE");
  if (chosen == "/dev/null") return {};
  auto files = system_files;
  const bool chosen_exists = !chosen.empty() && ::access(chosen.c_str(), F_OK) == 0;
  const auto home = value_of(environment, "HOME");
  if (!chosen_exists && !home.empty()) {
    auto user = value_of(environment, "XDG_CONFIG_HOME");
    if (user.empty()) user = home + "/.config";
    files.push_back(home + "/.pip/pip.conf");
    files.push_back(user + "/pip/pip.conf");
  }
  if (const auto venv = value_of(environment, "VIRTUAL_ENV"); !venv.empty()) {
    files.push_back(venv + "/pip.conf");
  }
  if (!chosen.empty()) files.push_back(chosen);
  return files;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const auto from = text.find_first_not_of(" \t\r\n");
    if (from == std::string_view::npos) return out;
    const auto to = std::min(text.find_first_of(" \t\r\n", from), text.size());
    out.emplace_back(text.substr(from, to - from));
    text.remove_prefix(to);
  }
}

void drop_last_slashes(std::string& text) {
  while (text.ends_with('/')) text.pop_back();
}

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

std::string value_of(const Environment& environment, std::string_view name) {
  return environment(name).value_or(std::string());
}

Result<PipConfig> read_pip_config(const Environment& environment,
                                  const std::vector<std::string>& system_files) {
  Settings settings;
  for (const auto& path : config_files(environment, system_files)) {
    const auto text = read_small_file(path, 1U << 20U);
    if (text) HF_TRY_VOID(read_ini(*text, path, settings));
  }
  const auto get = [&](const std::string& key) {
    std::string variable = "PIP_" + key;
    std::ranges::transform(variable, variable.begin(), [](char c) {
      if (c == '-') return '_';
      return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    if (auto value = value_of(environment, variable); !value.empty()) return value;
    for (const std::string_view section : {"install.", "download.", "global."}) {
      if (const auto found = settings.find(std::string(section) + key); found != settings.end()) {
        return found->second;
      }
    }
    return std::string();
  };
  PipConfig config{.find_links = words(get("find-links")),
                   .trusted_hosts = words(get("trusted-host")),
                   .ca_file = get("cert"),
                   .client_certificate = get("client-cert"),
                   .proxy = get("proxy"),
                   .netrc_file = value_of(environment, "NETRC")};
  const auto no_index = get("no-index");
  if (no_index.empty() || no_index == "0" || no_index == "false" || no_index == "no") {
    const auto index = get("index-url");
    config.indexes.push_back(index.empty() ? "https://pypi.org/simple" : index);
    for (auto& extra : words(get("extra-index-url"))) config.indexes.push_back(std::move(extra));
  }
  for (auto& index : config.indexes) drop_last_slashes(index);
  for (auto& host : config.trusted_hosts) host = normal_key(host);
  auto timeout = get("timeout");
  if (timeout.empty()) timeout = get("default-timeout");
  config.timeout = std::chrono::seconds(std::clamp(std::atoi(timeout.c_str()), 0, 3600));
  if (config.netrc_file.empty()) {
    const auto home = value_of(environment, "HOME");
    if (!home.empty()) config.netrc_file = home + "/.netrc";
  }
  if (::access(config.netrc_file.c_str(), R_OK) != 0) config.netrc_file.clear();
  return config;
}

HttpSettings settings_for(const PipConfig& config, const HttpSettings& base,
                          const std::string& address) {
  auto settings = base;
  if (!config.ca_file.empty()) settings.ca_file = config.ca_file;
  if (!config.proxy.empty()) settings.proxy = config.proxy;
  settings.netrc_file = config.netrc_file;
  settings.client_certificate = config.client_certificate;
  if (config.timeout.count() > 0) {
    settings.connect_timeout =
        std::min<std::chrono::milliseconds>(config.timeout, settings.connect_timeout);
  }
  const auto host = address_host(address);
  const auto bare = host.substr(0, host.rfind(':'));
  const bool trusted = std::ranges::any_of(
      config.trusted_hosts, [&](const auto& known) { return known == host || known == bare; });
  // As pip has it: plain HTTP is for trusted hosts and for this machine itself.
  if (trusted || bare == "localhost" || bare.starts_with("127."))
    settings.plain_http = PlainHttp::allow;
  if (trusted) settings.certificates = CertificateCheck::off;
  return settings;
}

}  // namespace hf::registry
