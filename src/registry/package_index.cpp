#include "registry/package_index.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <format>
#include <optional>
#include <system_error>

#include <nlohmann/json.hpp>

#include "registry/file_io.hpp"
#include "registry/http_client.hpp"

namespace hf::registry {
namespace {

constexpr std::uint64_t kPageBytesMax = 64U << 20U;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string unescaped(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, char>, 7> kNames = {{{"&amp;", '&'},
                                                                               {"&quot;", '"'},
                                                                               {"&#39;", '\''},
                                                                               {"&lt;", '<'},
                                                                               {"&gt;", '>'},
                                                                               {"&#43;", '+'},
                                                                               {"&#x2B;", '+'}}};
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto rest = text.substr(i);
    const auto known =
        std::ranges::find_if(kNames, [&](const auto& n) { return rest.starts_with(n.first); });
    out += known == kNames.end() ? rest.front() : known->second;
    i += known == kNames.end() ? 1 : known->first.size();
  }
  return out;
}

std::string fragment_digest(std::string_view address) {
  constexpr std::string_view kStart = "sha256=";
  const auto hash = address.find('#');
  if (hash == std::string_view::npos) return {};
  const auto at = address.find(kStart, hash);
  if (at == std::string_view::npos) return {};
  const auto digest = lower(address.substr(at + kStart.size(), 64));
  const bool whole =
      digest.size() == 64 && digest.find_first_not_of("0123456789abcdef") == std::string::npos;
  return whole ? digest : std::string();
}

WheelLink link_to(const std::string& page, const std::string& reference) {
  WheelLink link{.sha256 = fragment_digest(reference)};
  auto address = resolve_address(page, reference);
  address.resize(std::min(address.find('#'), address.size()));
  link.file = decoded_path(file_name(address.substr(0, address.find('?'))));
  link.address = std::move(address);
  return link;
}

// The value of `name` in a tag; both are ASCII, the tag's names in any letter case.
std::optional<std::string> attribute(std::string_view tag, std::string_view name) {
  const auto plain = lower(tag);
  for (auto at = plain.find(name); at != std::string::npos; at = plain.find(name, at + 1)) {
    auto from = plain.find_first_not_of(" \t\r\n", at + name.size());
    const bool starts_name = at > 0 && std::string_view(" \t\r\n").contains(plain[at - 1]);
    if (!starts_name || from == std::string::npos || plain[from] != '=') continue;
    from = plain.find_first_not_of(" \t\r\n", from + 1);
    if (from == std::string::npos) return std::nullopt;
    const char quote = plain[from];
    if (quote != '"' && quote != '\'') {
      return std::string(tag.substr(from, plain.find_first_of(" \t\r\n", from) - from));
    }
    const auto to = plain.find(quote, from + 1);
    if (to == std::string::npos) return std::nullopt;
    return std::string(tag.substr(from + 1, to - from - 1));
  }
  return std::nullopt;
}

std::vector<WheelLink> parse_html(const std::string& body, const std::string& address) {
  std::vector<WheelLink> links;
  auto base = address;
  for (auto at = body.find('<'); at != std::string::npos; at = body.find('<', at + 1)) {
    const auto end = body.find('>', at);
    if (end == std::string::npos) break;
    const auto tag = std::string_view(body).substr(at + 1, end - at - 1);
    const auto name = lower(tag.substr(0, tag.find_first_of(" \t\r\n")));
    if (name != "a" && name != "base") continue;
    const auto reference = attribute(tag, "href");
    if (!reference) continue;
    if (name == "base") {
      base = resolve_address(address, unescaped(*reference));
    } else {
      links.push_back(link_to(base, unescaped(*reference)));
    }
  }
  return links;
}

Result<std::vector<WheelLink>> parse_json(const std::string& body, const std::string& address) {
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object() || !document.contains("files") || !document["files"].is_array()) {
    return fail(Errc::data_corrupt,
                "The package index sent JSON without files; check its address.");
  }
  std::vector<WheelLink> links;
  for (const auto& file : document["files"]) {
    if (!file.is_object() || !file.contains("url") || !file["url"].is_string()) continue;
    auto link = link_to(address, file["url"].get<std::string>());
    if (const auto name = file.find("filename"); name != file.end() && name->is_string()) {
      link.file = name->get<std::string>();
    }
    if (const auto bytes = file.find("size"); bytes != file.end() && bytes->is_number_unsigned()) {
      link.bytes = bytes->get<std::uint64_t>();
    }
    if (const auto hashes = file.find("hashes"); hashes != file.end() && hashes->is_object()) {
      const auto digest = hashes->find("sha256");
      if (digest != hashes->end() && digest->is_string()) {
        link.sha256 = fragment_digest("#sha256=" + digest->get<std::string>());
      }
    }
    links.push_back(std::move(link));
  }
  return links;
}

std::optional<WheelLink> pick(const std::vector<WheelLink>& links, const WheelMember& part) {
  const auto fits = [&](const WheelLink& link) { return is_wheel_of(link.file, part); };
  const auto any = std::ranges::find_if(
      links, [&](const auto& link) { return fits(link) && link.file.ends_with("-any.whl"); });
  if (any != links.end()) return *any;
  const auto some = std::ranges::find_if(links, fits);
  return some == links.end() ? std::nullopt : std::optional(*some);
}

std::optional<WheelLink> pick_in_folder(const std::string& folder, const WheelMember& part) {
  std::vector<WheelLink> links;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    links.push_back({.file = entry.path().filename().string(), .path = entry.path().string()});
  }
  return pick(links, part);
}

Result<WheelLink> find_on_page(const std::string& address, const WheelMember& part,
                               const PipConfig& config, const HttpSettings& base,
                               const std::function<bool()>& cancelled) {
  static const std::vector<std::string> kAccept = {
      "Accept: application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
      "text/html;q=0.1"};
  const auto page = HF_TRY(http_get_small(address, kAccept, settings_for(config, base, address),
                                          kPageBytesMax, cancelled));
  const auto links =
      HF_TRY(parse_index_page(page.body, page.answer.content_type, page.answer.address));
  if (auto link = pick(links, part)) return *std::move(link);
  return fail(Errc::not_found, std::format("{} has no wheel of {} {}; check name and version.",
                                           address_host(address), part.package, part.version));
}

}  // namespace

std::string normal_package_name(std::string_view name) {
  std::string out;
  for (const char c : lower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (separator && out.ends_with('-')) continue;
    out += separator ? '-' : c;
  }
  return out;
}

bool is_wheel_of(std::string_view file, const WheelMember& part) {
  if (!file.ends_with(".whl")) return false;
  const auto name_end = file.find('-');
  if (name_end == std::string_view::npos) return false;
  const auto version_end = file.find('-', name_end + 1);
  if (version_end == std::string_view::npos) return false;
  return normal_package_name(file.substr(0, name_end)) == normal_package_name(part.package) &&
         lower(file.substr(name_end + 1, version_end - name_end - 1)) == lower(part.version);
}

Result<std::vector<WheelLink>> parse_index_page(const std::string& body,
                                                std::string_view content_type,
                                                const std::string& address) {
  if (content_type.contains("json")) return parse_json(body, address);
  return parse_html(body, address);
}

Result<WheelLink> find_wheel(const WheelMember& part, const PipConfig& config,
                             const HttpSettings& base, const std::function<bool()>& cancelled) {
  std::optional<Error> first;
  const auto from_page = [&](const std::string& address) -> std::optional<WheelLink> {
    auto link = find_on_page(address, part, config, base, cancelled);
    if (link) return *std::move(link);
    if (!first) first = link.error();
    return std::nullopt;
  };
  for (const auto& place : config.find_links) {
    const bool page = place.starts_with("http://") || place.starts_with("https://");
    const auto folder = place.starts_with("file://") ? decoded_path(place.substr(7)) : place;
    if (auto link = page ? from_page(place) : pick_in_folder(folder, part)) return *std::move(link);
  }
  first.reset();
  for (const auto& index : config.indexes) {
    const auto address = std::format("{}/{}/", index, normal_package_name(part.package));
    if (auto link = from_page(address)) return *std::move(link);
  }
  if (first) return std::unexpected(*std::move(first));
  return fail(
      Errc::not_found,
      std::format("No wheel of {} {} is in the link folders, and pip is told to use no index.",
                  part.package, part.version));
}

}  // namespace hf::registry
