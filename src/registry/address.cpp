// Addresses, on libcurl's parser.
#include <array>
#include <format>
#include <memory>

#include <curl/curl.h>

#include "registry/http_client.hpp"

namespace hf::registry {
namespace {

struct UrlFree {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlFree>;

Url parsed(const std::string& address) {
  Url url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, address.c_str(), 0) != CURLUE_OK)
    return nullptr;
  return url;
}

std::string part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (!url || curl_url_get(url.get(), which, &text, 0) != CURLUE_OK || text == nullptr) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

}  // namespace

std::string resolve_address(const std::string& base, const std::string& reference) {
  const auto url = parsed(base);
  if (!url || curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), 0) != CURLUE_OK) return {};
  return part(url, CURLUPART_URL);
}

std::string shown_address(const std::string& address) {
  const auto url = parsed(address);
  if (!url) return "(not an address)";
  for (const auto hidden :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    curl_url_set(url.get(), hidden, nullptr, 0);
  }
  return part(url, CURLUPART_URL);
}

std::string address_host(const std::string& address) {
  const auto url = parsed(address);
  const auto port = part(url, CURLUPART_PORT);
  auto host = part(url, CURLUPART_HOST);
  for (char& c : host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return port.empty() ? host : std::format("{}:{}", host, port);
}

std::string encoded_path(std::string_view path) {
  static constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  std::string out;
  for (const char c : path) {
    if (kPlain.contains(c)) {
      out += c;
    } else {
      out += std::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string decoded_path(std::string_view path) {
  const auto digit = [](char c) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    return kDigits.find(static_cast<char>(c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c));
  };
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%' && i + 2 < path.size() && digit(path[i + 1]) != std::string_view::npos &&
        digit(path[i + 2]) != std::string_view::npos) {
      out += static_cast<char>(digit(path[i + 1]) * 16 + digit(path[i + 2]));
      i += 2;
    } else {
      out += path[i];
    }
  }
  return out;
}

}  // namespace hf::registry
