#include "http/response_text.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <format>
#include <iterator>

namespace hf::http {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
  }
}

/// RFC 9110 5.6.7; made once a second and thread.
std::string_view date_text() {
  thread_local std::time_t second = 0;
  thread_local std::array<char, 32> text{};
  const auto now = std::time(nullptr);
  if (now != second) {
    second = now;
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  }
  return text.data();
}

bool is_token(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

bool is_value(std::string_view value) {
  return std::ranges::none_of(value, [](char c) {
    return (c >= 0 && c < ' ' && c != '\t') || c == 0x7F;
  });
}

bool is_ours(std::string_view name) {
  constexpr std::array kOurs = {
      std::string_view("content-length"),    std::string_view("content-type"),
      std::string_view("transfer-encoding"), std::string_view("connection"),
      std::string_view("keep-alive"),        std::string_view("upgrade"),
      std::string_view("date"),              std::string_view("x-request-id")};
  return std::ranges::any_of(kOurs, [name](auto ours) { return equal_ignoring_case(ours, name); });
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

std::string_view error_type(int status) {
  if (status == 429) return "rate_limit_error";
  return status >= 500 && status != 501 && status != 505 ? "server_error" : "invalid_request_error";
}

}  // namespace

std::string head_text(const ResponseHead& head, const api::Headers& extra) {
  std::string out;
  out.reserve(512);
  std::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", head.status, reason(head.status));
  append_field(out, "date", date_text());
  if (!head.content_type.empty() && is_value(head.content_type) &&
      head.framing != BodyFraming::none) {
    append_field(out, "content-type", head.content_type);
  }
  if (head.framing == BodyFraming::length) {
    std::format_to(std::back_inserter(out), "content-length: {}\r\n", head.body_bytes);
  }
  if (head.framing == BodyFraming::chunked) append_field(out, "transfer-encoding", "chunked");
  if (head.afterwards == Afterwards::close) append_field(out, "connection", "close");
  if (head.afterwards == Afterwards::keep && head.http_1_0) {
    append_field(out, "connection", "keep-alive");
  }
  if (!head.request_id.empty()) append_field(out, "x-request-id", head.request_id);
  append_field(out, "x-content-type-options", "nosniff");
  if (head.over_tls) append_field(out, "strict-transport-security", "max-age=31536000");
  bool caching = false;
  for (const auto& [name, value] : extra) {
    if (!is_token(name) || !is_value(value) || is_ours(name)) continue;
    caching = caching || equal_ignoring_case(name, "cache-control");
    append_field(out, name, value);
  }
  if (!caching) append_field(out, "cache-control", "no-store");
  return out.append("\r\n");
}

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;
  std::format_to(std::back_inserter(out), "{:x}\r\n", bytes.size());
  out.append(bytes).append("\r\n");
}

std::string error_body(const RequestFault& fault) {
  // Messages and codes are our own sentences: no character in them needs escaping.
  return std::format(R"({{"error":{{"message":"{}","type":"{}","param":null,"code":"{}"}}}})",
                     fault.message, error_type(fault.status), fault.code);
}

api::HttpResponse error_response(const RequestFault& fault) {
  api::HttpResponse response{.status = fault.status, .body = error_body(fault)};
  if (fault.status == 429 || fault.status == 503) response.headers.emplace_back("retry-after", "5");
  return response;
}

}  // namespace hf::http
