#include "http/request_reader.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

namespace hf::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::error_code;
using BeastView = boost::beast::string_view;

// What Beast may leave unparsed inside a body: one chunk line or the trailer.
constexpr std::size_t kUnparsedInBodyMax = 8192;
// Bodies grow as they come: a large Content-Length alone reserves no memory.
constexpr std::uint64_t kBodyReserveMax = std::uint64_t{64} << 10U;

std::string_view view(BeastView text) { return {text.data(), text.size()}; }

RequestFault fault_of(const error_code& code) {
  using beast_http::error;
  if (code == error::body_limit) {
    return {413, "body_too_large", "The request body is larger than this server accepts."};
  }
  if (code == error::header_limit) {
    return {431, "header_too_large", "The request header is larger than this server accepts."};
  }
  if (code == error::bad_version) {
    return {505, "unsupported_version", "This server speaks HTTP/1.1; use that version."};
  }
  if (code == error::bad_content_length || code == error::multiple_content_length) {
    return {400, "invalid_content_length",
            "Content-Length must be one decimal number, without Transfer-Encoding beside it."};
  }
  if (code == error::bad_transfer_encoding) {
    return {400, "invalid_transfer_encoding",
            "Transfer-Encoding must be 'chunked', in HTTP/1.1, without Content-Length beside it."};
  }
  if (code == error::bad_chunk || code == error::bad_chunk_extension) {
    return {400, "bad_chunk", "The chunked body is malformed."};
  }
  if (code == error::bad_method) {
    return {400, "invalid_method", "The request does not start with an HTTP method."};
  }
  if (code == error::bad_target) {
    return {400, "invalid_target", "The request target is malformed."};
  }
  return {400, "invalid_request", "The request is not valid HTTP/1.1."};
}

/// Beast does the grammar; the rules that it leaves open are checked in its callbacks.
class RequestParser final : public beast_http::basic_parser<true> {
 public:
  explicit RequestParser(const ReaderLimits& limits) : fields_left_(limits.header_fields_max) {
    eager(true);
    body_limit(limits.body_bytes_max);
    header_limit(limits.header_bytes_max + 4);
  }

  ParsedRequest parsed;
  std::optional<RequestFault> fault;
  bool expects_continue = false;

 private:
  void refuse(error_code& error, RequestFault reason) {
    fault = std::move(reason);
    error = beast_http::error::bad_value;
  }

  void on_request_impl(beast_http::verb, BeastView method, BeastView target, int version,
                       error_code& error) override {
    parsed.protocol = version >= 11 ? Protocol::http_1_1 : Protocol::http_1_0;
    auto& request = parsed.request;
    request.method = view(method);
    if (auto reason = check_method(request.method)) return refuse(error, *std::move(reason));
    auto split = hf::http::parse_target(request.method, view(target));
    if (!split) return refuse(error, std::move(split).error());
    request.path = std::move(split->path);
    request.query = std::move(split->query);
  }

  void on_field_impl(beast_http::field field, BeastView name, BeastView value,
                     error_code& error) override {
    if (fields_left_-- == 0) {
      return refuse(error, {431, "too_many_headers", "The request has too many header fields."});
    }
    const auto text = view(value);
    if (field == beast_http::field::host && (std::exchange(host_seen_, true) || !valid_host(text))) {
      return refuse(error, {400, "invalid_host", "Send exactly one valid Host header."});
    }
    if (field == beast_http::field::content_length) {
      const auto digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
      if (std::exchange(length_seen_, true) || !digits) {
        return refuse(error, fault_of(beast_http::error::bad_content_length));
      }
    }
    if (field == beast_http::field::transfer_encoding && !equal_ignoring_case(text, "chunked")) {
      return refuse(error, {501, "unknown_transfer_encoding",
                            "The only Transfer-Encoding offered is 'chunked'."});
    }
    if (field == beast_http::field::expect) {
      if (!equal_ignoring_case(text, "100-continue")) {
        return refuse(error, {417, "unknown_expectation", "Expect may only be '100-continue'."});
      }
      expects_continue = parsed.protocol == Protocol::http_1_1;
    }
    auto& [key, stored] = parsed.request.headers.emplace_back(view(name), text);
    std::ranges::transform(key, key.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    if (field == beast_http::field::unknown && key == "x-request-id" && valid_request_id(stored)) {
      parsed.request.id = stored;
    }
  }

  void on_header_impl(error_code& error) override {
    if (!host_seen_ && parsed.protocol == Protocol::http_1_1) {
      return refuse(error, {400, "missing_host", "HTTP/1.1 requires a Host header."});
    }
    if (parsed.request.id.empty()) parsed.request.id = new_request_id();
    parsed.keep_alive = keep_alive();
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (!length) return;
    parsed.request.body.reserve(static_cast<std::size_t>(std::min(*length, kBodyReserveMax)));
  }
  std::size_t on_body_impl(BeastView bytes, error_code&) override {
    parsed.request.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView bytes, error_code&) override {
    parsed.request.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_response_impl(int, BeastView, int, error_code&) override {}
  void on_trailer_field_impl(beast_http::field, BeastView, BeastView, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, BeastView, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  std::uint32_t fields_left_;
  bool host_seen_ = false;
  bool length_seen_ = false;
};

}  // namespace

struct RequestReader::Parsing {
  ReaderLimits limits;
  ReadState state = ReadState::between;
  RequestFault fault = {};
  std::string kept = {};     // Bytes not yet parsed.
  std::size_t searched = 0;  // No end of header starts before this offset of `kept`.
  std::unique_ptr<RequestParser> parser = {};

  void refuse(RequestFault reason) {
    fault = std::move(reason);
    state = ReadState::refused;
    kept = {};
    parser.reset();
  }

  /// Parses from `input`; returns how much of it is used up.
  std::size_t advance(std::string_view input) {
    std::size_t used = 0;
    if (state == ReadState::between || state == ReadState::header) used = header(input);
    if (state == ReadState::body) used += body(input.substr(used));
    return used;
  }

  std::size_t header(std::string_view input) {
    std::size_t blank = 0;
    // RFC 9112 2.2: an empty line before a request is no request.
    while (blank < 4 && input.substr(blank).starts_with("\r\n")) blank += 2;
    const auto text = input.substr(blank);
    if (text.empty() || text == "\r") return blank;
    state = ReadState::header;
    const auto end = text.find("\r\n\r\n", searched);
    const auto size = end == std::string_view::npos ? text.size() : end + 4;
    if (size > limits.header_bytes_max) {
      refuse(fault_of(beast_http::error::header_limit));
      return input.size();
    }
    if (end == std::string_view::npos) {
      searched = text.size() > 3 ? text.size() - 3 : 0;
      return blank;
    }
    searched = 0;
    if (auto reason = check_header_block(text.substr(0, size))) {
      refuse(*std::move(reason));
      return input.size();
    }
    parser = std::make_unique<RequestParser>(limits);
    state = ReadState::body;
    return blank + put(text.substr(0, size));
  }

  std::size_t body(std::string_view input) {
    if (input.empty()) return 0;
    const auto used = put(input);
    if (state == ReadState::body && input.size() - used > kUnparsedInBodyMax) {
      refuse({400, "bad_chunk", "A chunk line or the trailer of the body is too long."});
      return input.size();
    }
    return used;
  }

  std::size_t put(std::string_view input) {
    error_code error;
    const auto used = parser->put(boost::asio::buffer(input.data(), input.size()), error);
    if (error && error != beast_http::error::need_more) {
      refuse(parser->fault ? *std::move(parser->fault) : fault_of(error));
      return used;
    }
    if (parser->is_done()) state = ReadState::complete;
    return used;
  }
};

RequestReader::RequestReader(const ReaderLimits& limits)
    : parsing_(std::make_unique<Parsing>(Parsing{.limits = limits})) {}

RequestReader::~RequestReader() = default;

ReadState RequestReader::feed(std::string_view bytes) {
  auto& p = *parsing_;
  if (p.state == ReadState::refused) return p.state;
  if (p.state == ReadState::complete || !p.kept.empty()) {
    p.kept.append(bytes);
    if (p.state == ReadState::complete) return p.state;
    const auto used = p.advance(p.kept);
    if (p.state != ReadState::refused) p.kept.erase(0, used);
  } else {
    const auto used = p.advance(bytes);
    if (p.state != ReadState::refused) p.kept.assign(bytes.substr(used));
  }
  if (p.kept.empty()) p.kept = {};
  return p.state;
}

ParsedRequest RequestReader::take() {
  auto& p = *parsing_;
  auto taken = std::move(p.parser->parsed);
  p.parser.reset();
  p.state = ReadState::between;
  const auto used = p.advance(p.kept);
  if (p.state != ReadState::refused) p.kept.erase(0, used);
  if (p.kept.empty()) p.kept = {};
  return taken;
}

ReadState RequestReader::state() const { return parsing_->state; }
const RequestFault& RequestReader::fault() const { return parsing_->fault; }
std::size_t RequestReader::buffered_bytes() const { return parsing_->kept.size(); }

bool RequestReader::wants_continue() const {
  const auto& p = *parsing_;
  return p.state == ReadState::body && p.parser->expects_continue &&
         p.parser->parsed.request.body.empty();
}

void RequestReader::continued() { parsing_->parser->expects_continue = false; }

}  // namespace hf::http
