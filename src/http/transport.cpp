#include "http/transport.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <format>
#include <system_error>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

namespace hf::http {
namespace {

// Never waits, whatever mode the socket is left in; a closed peer is an error, not a signal.
constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;

int socket_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// Our own socket BIO: OpenSSL's writes with write(2), which raises SIGPIPE.
int bio_write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const auto moved = ::send(socket_of(bio), bytes, static_cast<std::size_t>(size), kSendFlags);
  if (moved < 0 && would_block()) BIO_set_retry_write(bio);
  return static_cast<int>(moved);
}

int bio_read(BIO* bio, char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const auto moved = ::recv(socket_of(bio), bytes, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (moved < 0 && would_block()) BIO_set_retry_read(bio);
  if (moved == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(moved);
}

long bio_control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    case BIO_CTRL_FLUSH: return 1;
    default: return 0;
  }
}

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    auto* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "holdfast socket");
    HF_ASSERT(made != nullptr);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int size, void*) {
  static constexpr std::string_view kOurs = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  const auto* ours = reinterpret_cast<const unsigned char*>(kOurs.data());
  if (SSL_select_next_proto(&chosen, out_size, ours, kOurs.size(), offered, size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

std::unexpected<Error> unusable(std::string_view what, const std::string& file,
                                std::string_view advice) {
  const auto detail = Transport::last_tls_error();
  return fail(Errc::invalid_argument, std::format("The {} file '{}' {}", what, file, advice),
              detail);
}

Result<void> check_readable(std::string_view what, const std::string& file) {
  std::error_code error;
  if (std::filesystem::is_regular_file(file, error)) return {};
  return unusable(what, file, "does not exist or cannot be read; set the right path.");
}

}  // namespace

Result<TlsContext> load_tls(const TlsFiles& files) {
  HF_TRY_VOID(check_readable("certificate", files.certificate_file));
  HF_TRY_VOID(check_readable("key", files.key_file));
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return fail(Errc::internal, "TLS could not be set up.", Transport::last_tls_error());
  auto* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 1);
  SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(raw, files.certificate_file.c_str()) != 1) {
    return unusable("certificate", files.certificate_file, "holds no usable PEM certificate.");
  }
  if (SSL_CTX_use_PrivateKey_file(raw, files.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unusable("key", files.key_file,
                    "holds no usable PEM key of this certificate; set the key that belongs to it.");
  }
  if (SSL_CTX_check_private_key(raw) != 1) {
    return unusable("key", files.key_file, "does not belong to the certificate.");
  }
  return context;
}

Transport::Transport(int socket, const TlsContext& context) : socket_(socket) {
  if (!context) return;
  tls_ = SSL_new(context.get());
  auto* bio = BIO_new(socket_method());
  HF_ASSERT(tls_ != nullptr && bio != nullptr);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
  BIO_set_init(bio, 1);
  SSL_set_bio(tls_, bio, bio);
  SSL_set_accept_state(tls_);
}

Transport::~Transport() { SSL_free(tls_); }

namespace {

IoStep step_of(SSL* tls, int result, std::size_t bytes) {
  if (result > 0) return {IoStatus::done, bytes};
  switch (SSL_get_error(tls, result)) {
    case SSL_ERROR_WANT_READ: return {IoStatus::want_read};
    case SSL_ERROR_WANT_WRITE: return {IoStatus::want_write};
    case SSL_ERROR_ZERO_RETURN: return {IoStatus::ended};
    default: return {IoStatus::failed};
  }
}

IoStep step_of(ssize_t moved, IoStatus when_blocked) {
  if (moved > 0) return {IoStatus::done, static_cast<std::size_t>(moved)};
  if (moved == 0) return {IoStatus::ended};
  return {would_block() ? when_blocked : IoStatus::failed};
}

}  // namespace

IoStep Transport::handshake() {
  ERR_clear_error();
  return step_of(tls_, SSL_accept(tls_), 0);
}

IoStep Transport::read(std::span<char> into) {
  if (!secure()) {
    return step_of(::recv(socket_, into.data(), into.size(), MSG_DONTWAIT), IoStatus::want_read);
  }
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_read_ex(tls_, into.data(), into.size(), &bytes);
  return step_of(tls_, result, bytes);
}

IoStep Transport::write(std::string_view text) {
  if (!secure()) {
    return step_of(::send(socket_, text.data(), text.size(), kSendFlags), IoStatus::want_write);
  }
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_write_ex(tls_, text.data(), text.size(), &bytes);
  return step_of(tls_, result, bytes);
}

bool Transport::has_pending() const { return secure() && SSL_has_pending(tls_) == 1; }

void Transport::end_writing() {
  ERR_clear_error();
  if (secure() && SSL_is_init_finished(tls_) == 1) SSL_shutdown(tls_);
  ::shutdown(socket_, SHUT_WR);
}

IoStep Transport::discard() {
  std::array<char, 16384> dropped;
  return step_of(::recv(socket_, dropped.data(), dropped.size(), MSG_DONTWAIT),
                 IoStatus::want_read);
}

IoStep Transport::peek(char& first) const {
  return step_of(::recv(socket_, &first, 1, MSG_PEEK | MSG_DONTWAIT), IoStatus::want_read);
}

std::string Transport::last_tls_error() {
  const auto code = ERR_peek_last_error();
  if (code == 0) return "";
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

}  // namespace hf::http
