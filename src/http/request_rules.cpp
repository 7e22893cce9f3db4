#include "http/request_rules.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/digest.hpp"
#include "base/utf8.hpp"

namespace hf::http {
namespace {

constexpr std::array kMethods = {std::string_view("GET"),    std::string_view("HEAD"),
                                 std::string_view("POST"),   std::string_view("PUT"),
                                 std::string_view("PATCH"),  std::string_view("DELETE"),
                                 std::string_view("OPTIONS")};

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr bool digit(char c) { return c >= '0' && c <= '9'; }

constexpr bool letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

constexpr int hex_value(char c) {
  if (digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::unexpected<RequestFault> bad_target(std::string message) {
  return std::unexpected(RequestFault{400, "invalid_target", std::move(message)});
}

std::expected<std::string, RequestFault> percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return bad_target("The path has a '%' that is not followed by two hex digits.");
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  if (out.find('\0') != std::string::npos) return bad_target("The path must not hold a zero byte.");
  if (!utf8::valid(out)) return bad_target("The decoded path must be UTF-8.");
  return out;
}

bool printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
}

std::string_view without_authority(std::string_view target, std::string_view& authority) {
  const auto start = target.find("://") + 3;
  const auto end = target.find_first_of("/?", start);
  authority = target.substr(start, end == std::string_view::npos ? end : end - start);
  return end == std::string_view::npos ? std::string_view() : target.substr(end);
}

bool has_scheme(std::string_view target) {
  const auto at = target.find("://");
  if (at == std::string_view::npos) return false;
  const auto scheme = target.substr(0, at);
  return equal_ignoring_case(scheme, "http") || equal_ignoring_case(scheme, "https");
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, {}, lower, lower);
}

std::expected<Target, RequestFault> parse_target(std::string_view method, std::string_view target) {
  if (!printable_ascii(target)) return bad_target("The target must be printable ASCII; encode it.");
  if (target.contains('#')) return bad_target("The target must not hold a '#'; leave it out.");
  if (target == "*") {
    if (method == "OPTIONS") return Target{"*", ""};
    return bad_target("The target '*' is for OPTIONS only.");
  }
  if (has_scheme(target)) {
    std::string_view authority;
    target = without_authority(target, authority);
    if (!valid_host(authority)) return bad_target("The target's host is not valid.");
  } else if (!target.starts_with('/')) {
    return bad_target("The target must be a path that starts with '/' or an http(s) address.");
  }
  const auto mark = target.find('?');
  auto path = percent_decoded(target.substr(0, mark));
  if (!path) return std::unexpected(std::move(path).error());
  if (path->empty()) *path = "/";
  const auto query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  return Target{*std::move(path), std::string(query)};
}

std::optional<RequestFault> check_method(std::string_view method) {
  if (std::ranges::find(kMethods, method) != kMethods.end()) return std::nullopt;
  return RequestFault{501, "unknown_method", "This server does not offer that request method."};
}

bool valid_host(std::string_view host) {
  const auto bracket = host.starts_with('[') ? host.find(']') : std::string_view::npos;
  if (host.starts_with('[')) {
    if (bracket == std::string_view::npos || bracket < 3) return false;
    const auto address = host.substr(1, bracket - 1);
    const auto fits = [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; };
    if (!std::ranges::all_of(address, fits)) return false;
    host.remove_prefix(bracket + 1);
    if (host.empty()) return true;
  }
  const auto colon = host.find(':');
  const auto name = host.substr(0, colon);
  if (name.empty() != (bracket != std::string_view::npos)) return false;
  const auto fits = [](char c) {
    return letter(c) || digit(c) || std::string_view("-._~").contains(c);
  };
  if (!std::ranges::all_of(name, fits)) return false;
  return colon == std::string_view::npos || std::ranges::all_of(host.substr(colon + 1), digit);
}

bool valid_request_id(std::string_view id) {
  if (id.empty() || id.size() > 128) return false;
  return std::ranges::all_of(id, [](char c) {
    return letter(c) || digit(c) || c == '.' || c == '_' || c == '-';
  });
}

std::string new_request_id() { return hex(random_bytes(16)); }

std::optional<RequestFault> check_header_block(std::string_view block) {
  bool first = true;
  while (!block.empty()) {
    const auto end = block.find("\r\n");
    const auto line = block.substr(0, end);
    block.remove_prefix(end == std::string_view::npos ? block.size() : end + 2);
    const auto control = [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7F; };
    if (std::ranges::any_of(line, control)) {
      return RequestFault{400, "invalid_header", "Header lines must not hold control characters."};
    }
    if (line.starts_with(' ') || line.starts_with('\t')) {
      return RequestFault{400, "folded_header", "Header lines must not be folded."};
    }
    const auto name = line.substr(0, line.find(':'));
    if (!first && !line.empty() && name.find_first_of(" \t") != std::string_view::npos) {
      return RequestFault{400, "invalid_header", "A header name must be followed by its colon."};
    }
    first = false;
  }
  return std::nullopt;
}

bool list_has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (equal_ignoring_case(trimmed(list.substr(0, comma)), token)) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

}  // namespace hf::http
