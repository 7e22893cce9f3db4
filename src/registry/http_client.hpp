#pragma once
// One GET over libcurl, with failures told in words that say what to set. Used by the downloads.
// Any thread; each call blocks until the answer is complete.

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf::registry {

enum class PlainHttp : unsigned char { refuse, allow };
enum class CertificateCheck : unsigned char { on, off };

/// How to reach servers; one for a whole pull.
struct HttpSettings {
  std::string ca_file = {};     ///< Empty: the system's.
  std::string proxy = {};       ///< Empty: https_proxy, all_proxy and no_proxy of the environment.
  std::string netrc_file = {};  ///< Empty: none is read.
  std::string client_certificate = {};  ///< PEM with certificate and key; empty: none.
  PlainHttp plain_http = PlainHttp::refuse;
  CertificateCheck certificates = CertificateCheck::on;
  std::chrono::milliseconds connect_timeout{20'000};
  std::chrono::milliseconds stall_timeout{60'000};  ///< Without one byte.
  unsigned attempts = 6;  ///< In a row without progress, for failures that may pass.
  std::chrono::milliseconds backoff{500};  ///< Before the second attempt; doubles, at most 30 s.
};

struct HttpAnswer {
  long status = 0;
  std::string address = {};  ///< After redirects.
  std::string etag = {};     ///< As sent, with quotes; weak ones included.
  std::string last_modified = {};
  std::string content_range = {};
  std::string content_type = {};
  std::string file_digest = {};  ///< SHA-256 that a model hub names for the file; may be empty.
  std::optional<std::uint64_t> length = {};  ///< Of this answer's body.
  std::chrono::seconds retry_after{0};
};

enum class Persistence : unsigned char { may_pass, for_good };

struct HttpFailure {
  Error error;
  Persistence persistence = Persistence::for_good;
  long status = 0;  ///< 0: no answer.
  std::chrono::seconds retry_after{0};
};

struct HttpHandlers {
  /// Called once, before the body. An error ends the transfer and is returned.
  std::function<Result<void>(const HttpAnswer&)> on_answer = {};
  std::function<Result<void>(std::string_view)> on_body = {};
  std::function<bool()> cancelled = {};
};

/// Follows up to ten redirects. Statuses other than 200, 206 and 416 are failures; handlers see
/// those three only. `headers`: "Name: value"; not sent on to another host.
std::expected<HttpAnswer, HttpFailure> http_get(const std::string& address,
                                                const std::vector<std::string>& headers,
                                                const HttpSettings& settings,
                                                const HttpHandlers& handlers);

/// Waits between attempts: the server's wish (at most a minute) or doubling with some chance.
std::chrono::milliseconds retry_delay(const HttpSettings& settings, unsigned attempt,
                                      std::chrono::seconds retry_after);
/// Sleeps in short steps. Errors: cancelled.
Result<void> wait_unless_cancelled(std::chrono::milliseconds delay,
                                   const std::function<bool()>& cancelled);

/// A whole small answer, tried again as settings say. Errors: data_corrupt, above the limit.
struct SmallAnswer {
  HttpAnswer answer;
  std::string body;
};
Result<SmallAnswer> http_get_small(const std::string& address,
                                   const std::vector<std::string>& headers,
                                   const HttpSettings& settings, std::uint64_t limit_bytes,
                                   const std::function<bool()>& cancelled);

/// `reference` as seen from the page at `base` (RFC 3986 section 5); empty if it is no address.
std::string resolve_address(const std::string& base, const std::string& reference);
/// The address without user, password and query: fit for messages and files.
std::string shown_address(const std::string& address);
/// "host" or "host:port", lower case; empty if it is no address.
std::string address_host(const std::string& address);
/// Percent-encodes all but unreserved characters and '/'.
std::string encoded_path(std::string_view path);
std::string decoded_path(std::string_view path);

}  // namespace hf::registry
