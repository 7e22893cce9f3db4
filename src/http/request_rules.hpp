#pragma once
// Checks of single request parts, after RFC 9110 and 9112. Pure functions, any thread.

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hf::http {

/// Why a request is refused before any handler sees it.
struct RequestFault {
  int status = 400;
  std::string code = {};     ///< For programs, e.g. "bad_chunk".
  std::string message = {};  ///< One sentence that says what to change.
};

struct Target {
  std::string path;   ///< Percent-decoded once, dot segments kept, valid UTF-8 without NUL.
  std::string query;  ///< As sent, without '?'.
};

/// Origin form ("/path?query"), absolute form ("https://host/path") or "*" with OPTIONS.
std::expected<Target, RequestFault> parse_target(std::string_view method, std::string_view target);

/// Nothing if the method is one that a handler may see.
std::optional<RequestFault> check_method(std::string_view method);

/// A host name, IPv4 or bracketed IPv6 address with an optional port.
bool valid_host(std::string_view host);

/// [A-Za-z0-9._-]{1,128}
bool valid_request_id(std::string_view id);

/// 128 random bits in hex.
std::string new_request_id();

/// Checks on the raw header block (ends with an empty line) that a lenient parser would let pass:
/// folded lines, bare CR or LF, control characters, blanks before the colon.
std::optional<RequestFault> check_header_block(std::string_view block);

/// True if the comma-separated list holds `token`, whatever the case.
bool list_has_token(std::string_view list, std::string_view token);

bool equal_ignoring_case(std::string_view left, std::string_view right);

}  // namespace hf::http
