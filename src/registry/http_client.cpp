#include "registry/http_client.hpp"

#include <algorithm>
#include <charconv>
#include <format>
#include <memory>
#include <random>
#include <thread>

#include <curl/curl.h>

#include "registry/file_io.hpp"

namespace hf::registry {
namespace {

using std::chrono::steady_clock;

struct EasyFree {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct Transfer {
  CURL* curl = nullptr;
  const HttpHandlers* handlers = nullptr;
  HttpAnswer answer = {};
  std::optional<Error> refused = {};
  bool announced = false;
  bool stalled = false;
  std::chrono::milliseconds stall_timeout{};
  steady_clock::time_point last_byte = steady_clock::now();
};

bool wanted_status(long status) {
  return status == 200 || status == 206 || status == 416;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' ')) {
    text.remove_suffix(1);
  }
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text;
}

void note_header(Transfer& transfer, std::string_view line) {
  auto& answer = transfer.answer;
  if (line.starts_with("HTTP/")) {  // A new answer: of the next redirect, say.
    answer = HttpAnswer{.file_digest = answer.file_digest};
    return;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const std::string value(trimmed(line.substr(colon + 1)));
  if (name == "etag") answer.etag = value;
  if (name == "last-modified") answer.last_modified = value;
  if (name == "content-range") answer.content_range = value;
  if (name == "content-type") answer.content_type = value;
  if (name == "retry-after") {
    int seconds = 0;
    std::from_chars(value.data(), value.data() + value.size(), seconds);
    answer.retry_after = std::chrono::seconds(std::clamp(seconds, 0, 60));
  }
  if (name == "x-linked-etag" && value.size() == 66) {
    const auto digest = value.substr(1, 64);
    if (digest.find_first_not_of("0123456789abcdef") == std::string::npos)
      answer.file_digest = digest;
  }
}

// Tells the caller of the answer once; true to go on.
bool announce(Transfer& transfer) {
  if (transfer.announced) return true;
  transfer.announced = true;
  auto& answer = transfer.answer;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &answer.status);
  const char* address = nullptr;
  curl_easy_getinfo(transfer.curl, CURLINFO_EFFECTIVE_URL, &address);
  if (address != nullptr) answer.address = address;
  curl_off_t length = -1;
  curl_easy_getinfo(transfer.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (length >= 0) answer.length = static_cast<std::uint64_t>(length);
  if (!wanted_status(answer.status) || !transfer.handlers->on_answer) return true;
  if (auto done = transfer.handlers->on_answer(answer); !done) transfer.refused = done.error();
  return !transfer.refused;
}

std::size_t on_header(char* text, std::size_t size, std::size_t count, void* context) {
  note_header(*static_cast<Transfer*>(context), std::string_view(text, size * count));
  return size * count;
}

std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.last_byte = steady_clock::now();
  if (!announce(transfer)) return CURL_WRITEFUNC_ERROR;
  if (!wanted_status(transfer.answer.status) || transfer.answer.status == 416) return size * count;
  if (!transfer.handlers->on_body) return size * count;
  if (auto done = transfer.handlers->on_body(std::string_view(bytes, size * count)); !done) {
    transfer.refused = done.error();
    return CURL_WRITEFUNC_ERROR;
  }
  return size * count;
}

int on_tick(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (transfer.handlers->cancelled && transfer.handlers->cancelled()) {
    transfer.refused = Error{Errc::cancelled, "The pull was stopped; start it again to go on."};
    return 1;
  }
  transfer.stalled = steady_clock::now() - transfer.last_byte > transfer.stall_timeout;
  return transfer.stalled ? 1 : 0;
}

void configure(CURL* curl, const std::string& address, const HttpSettings& settings,
               Transfer& transfer) {
  const auto set = [curl](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
  set(CURLOPT_URL, address.c_str());
  set(CURLOPT_USERAGENT, "holdfast");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, 10L);
  const char* schemes = settings.plain_http == PlainHttp::allow ? "https,http" : "https";
  set(CURLOPT_PROTOCOLS_STR, schemes);
  set(CURLOPT_REDIR_PROTOCOLS_STR, schemes);
  const long connect_ms = settings.connect_timeout.count();
  set(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
  set(CURLOPT_BUFFERSIZE, 256L * 1024);
  if (!settings.ca_file.empty()) set(CURLOPT_CAINFO, settings.ca_file.c_str());
  if (!settings.proxy.empty()) set(CURLOPT_PROXY, settings.proxy.c_str());
  if (!settings.client_certificate.empty())
    set(CURLOPT_SSLCERT, settings.client_certificate.c_str());
  if (!settings.netrc_file.empty()) {
    const long optional = CURL_NETRC_OPTIONAL;
    set(CURLOPT_NETRC, optional);
    set(CURLOPT_NETRC_FILE, settings.netrc_file.c_str());
  }
  if (settings.certificates == CertificateCheck::off) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &on_tick);
  set(CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
}

HttpFailure status_failure(const HttpAnswer& answer, const std::string& address) {
  const auto shown = shown_address(address);
  HttpFailure failure{.error = {Errc::unavailable, {}, shown_address(answer.address)},
                      .status = answer.status,
                      .retry_after = answer.retry_after};
  auto& error = failure.error;
  const auto say = [&](Errc code, std::string_view what) {
    error.code = code;
    error.message = std::format("{} ({}, status {}).", what, shown, answer.status);
  };
  switch (answer.status) {
    case 401:
      say(Errc::unauthenticated,
          "The server wants a login; set HF_TOKEN for a model hub, or user and "
          "password in the index address or ~/.netrc");
      break;
    case 403:
      say(Errc::permission_denied,
          "The server refuses this file; accept the model's terms on its page "
          "and set HF_TOKEN, or ask who runs the server");
      break;
    case 404:
    case 410:
      say(Errc::not_found, "There is no such file; check the name or use another source");
      break;
    case 407:
      say(Errc::unauthenticated, "The proxy wants a login; put user:password in HTTPS_PROXY");
      break;
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      say(Errc::unavailable,
          "The server is busy or failing; try again later or use another source");
      failure.persistence = Persistence::may_pass;
      break;
    default:
      say(Errc::unavailable, "The server gave an answer that cannot be used; use another source");
  }
  return failure;
}

// The sentence for libcurl's verdict; what to set depends on where the way ended.
HttpFailure transport_failure(CURLcode code, const std::string& address,
                              const HttpSettings& settings) {
  const auto host = address_host(address);
  HttpFailure failure{.error = {Errc::unavailable, {}, curl_easy_strerror(code)},
                      .persistence = Persistence::may_pass};
  auto& error = failure.error;
  switch (static_cast<int>(code)) {
    case CURLE_COULDNT_RESOLVE_HOST:
      error.message = std::format(
          "No address is known for {}; check network and DNS, set HTTPS_PROXY if "
          "this machine needs a proxy, or use a mirror (HF_ENDPOINT, PIP_INDEX_URL).",
          host);
      break;
    case CURLE_COULDNT_RESOLVE_PROXY:
      error.message =
          "No address is known for the proxy; correct HTTPS_PROXY, or PIP_PROXY for packages.";
      failure.persistence = Persistence::for_good;
      break;
    case CURLE_COULDNT_CONNECT:
      error.message = std::format(
          "No connection to {}; check the network, set HTTPS_PROXY if this machine "
          "needs a proxy (or NO_PROXY if it must not), or use a mirror.",
          host);
      break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      error.message = std::format(
          "The certificate of {} is not trusted; set SSL_CERT_FILE (PIP_CERT for "
          "packages) to your organisation's CA file.",
          host);
      failure.persistence = Persistence::for_good;
      break;
    case CURLE_SSL_CONNECT_ERROR:
      error.message = std::format(
          "No TLS connection to {}; if a proxy or firewall intercepts it, ask for "
          "an exception or set HTTPS_PROXY.",
          host);
      break;
    case CURLE_OPERATION_TIMEDOUT:
      error.code = Errc::deadline_exceeded;
      error.message = std::format("{} did not answer within {} s; check the network or try again.",
                                  host, settings.connect_timeout.count() / 1000);
      break;
    case CURLE_UNSUPPORTED_PROTOCOL:
      error = {
          Errc::invalid_argument,
          std::format("{} is not reached over HTTPS; use an https address or allow plain HTTP.",
                      host)};
      failure.persistence = Persistence::for_good;
      break;
    case CURLE_URL_MALFORMAT:
      error = {Errc::invalid_argument, "This is not a usable address; write https://host/path."};
      failure.persistence = Persistence::for_good;
      break;
    case CURLE_TOO_MANY_REDIRECTS:
      error.message = std::format("{} redirects without end; use another source.", host);
      failure.persistence = Persistence::for_good;
      break;
    case CURLE_SSL_CERTPROBLEM:
      error.message = "The client certificate cannot be used; correct PIP_CLIENT_CERT.";
      failure.persistence = Persistence::for_good;
      break;
    default:
      error.message = std::format("The connection to {} broke off; try again.", host);
  }
  return failure;
}

}  // namespace

std::expected<HttpAnswer, HttpFailure> http_get(const std::string& address,
                                                const std::vector<std::string>& headers,
                                                const HttpSettings& settings,
                                                const HttpHandlers& handlers) {
  static const auto kStarted = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, EasyFree> curl(kStarted == CURLE_OK ? curl_easy_init() : nullptr);
  if (!curl)
    return std::unexpected(HttpFailure{.error = {Errc::internal, "libcurl cannot start."}});
  Transfer transfer{
      .curl = curl.get(), .handlers = &handlers, .stall_timeout = settings.stall_timeout};
  configure(curl.get(), address, settings, transfer);
  std::unique_ptr<curl_slist, ListFree> list;
  for (const auto& header : headers) {
    auto* longer = curl_slist_append(list.get(), header.c_str());
    static_cast<void>(list.release());
    list.reset(longer);
  }
  if (list) curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, list.get());
  const auto code = curl_easy_perform(curl.get());
  if (code == CURLE_OK) announce(transfer);  // An answer without body.
  if (transfer.refused) return std::unexpected(HttpFailure{.error = *transfer.refused});
  if (transfer.stalled) {
    return std::unexpected(HttpFailure{
        .error = {Errc::deadline_exceeded,
                  std::format("{} sent nothing for {} s; try again or use another source.",
                              address_host(address), settings.stall_timeout.count() / 1000)},
        .persistence = Persistence::may_pass});
  }
  if (code != CURLE_OK) return std::unexpected(transport_failure(code, address, settings));
  if (!wanted_status(transfer.answer.status)) {
    return std::unexpected(status_failure(transfer.answer, address));
  }
  return transfer.answer;
}

std::chrono::milliseconds retry_delay(const HttpSettings& settings, unsigned attempt,
                                      std::chrono::seconds retry_after) {
  if (retry_after.count() > 0) return retry_after;
  static thread_local std::minstd_rand random{std::random_device{}()};
  const auto doubled = settings.backoff * (1U << std::min(attempt, 10U));
  const auto bounded = std::min<std::chrono::milliseconds>(doubled, std::chrono::seconds(30));
  return bounded + bounded * static_cast<int>(random() % 25) / 100;
}

Result<void> wait_unless_cancelled(std::chrono::milliseconds delay,
                                   const std::function<bool()>& cancelled) {
  const auto end = steady_clock::now() + delay;
  while (steady_clock::now() < end) {
    if (cancelled && cancelled()) {
      return fail(Errc::cancelled, "The pull was stopped; start it again to go on.");
    }
    std::this_thread::sleep_for(
        std::min<steady_clock::duration>(std::chrono::milliseconds(50), end - steady_clock::now()));
  }
  return {};
}

Result<SmallAnswer> http_get_small(const std::string& address,
                                   const std::vector<std::string>& headers,
                                   const HttpSettings& settings, std::uint64_t limit_bytes,
                                   const std::function<bool()>& cancelled) {
  for (unsigned attempt = 1;; ++attempt) {
    SmallAnswer small;
    const auto collect = [&](std::string_view piece) -> Result<void> {
      if (small.body.size() + piece.size() > limit_bytes) {
        return fail(Errc::data_corrupt,
                    std::format("{} sent more than {}; check the address.", address_host(address),
                                human_bytes(limit_bytes)));
      }
      small.body += piece;
      return {};
    };
    auto answer =
        http_get(address, headers, settings, {.on_body = collect, .cancelled = cancelled});
    if (answer) {
      small.answer = std::move(*answer);
      return small;
    }
    const auto& failure = answer.error();
    if (failure.persistence == Persistence::for_good ||
        attempt >= std::min(settings.attempts, 3U)) {
      return std::unexpected(failure.error);
    }
    HF_TRY_VOID(
        wait_unless_cancelled(retry_delay(settings, attempt - 1, failure.retry_after), cancelled));
  }
}

}  // namespace hf::registry
