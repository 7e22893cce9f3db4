#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <format>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "base/log.hpp"
#include "http/request_rules.hpp"
#include "http/server.hpp"

namespace hf::http {
namespace {

namespace fs = std::filesystem;

constexpr long kDay = 24L * 60 * 60;
constexpr long kCaSeconds = 3650 * kDay;
constexpr long kServerSeconds = 397 * kDay;  // The longest that browsers accept.
constexpr long kRenewSeconds = 30 * kDay;
constexpr mode_t kPrivate = 0600;
constexpr mode_t kPublic = 0644;

template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* pointer) const { Free(pointer); }
};
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using Memory = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION, X509_EXTENSION_free>>;
using Octets = std::unique_ptr<ASN1_OCTET_STRING, Freed<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>>;

struct Pair {
  Certificate certificate = {};
  Key key = {};
};

std::unexpected<Error> openssl_failed() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  return fail(Errc::internal, "A certificate could not be made.", text.data());
}

struct Closed {
  void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};
using File = std::unique_ptr<std::FILE, Closed>;

/// Null members where the file is missing or not PEM.
Pair load(const fs::path& certificate, const fs::path& key) {
  Pair pair;
  if (const File file(std::fopen(certificate.c_str(), "re")); file) {
    pair.certificate.reset(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
  }
  if (const File file(std::fopen(key.c_str(), "re")); file) {
    pair.key.reset(PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr));
  }
  ERR_clear_error();
  return pair;
}

bool still_good(const Pair& pair) {
  if (!pair.certificate || !pair.key) return false;
  if (X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1) return false;
  auto then = std::time(nullptr) + kRenewSeconds;
  return X509_cmp_time(X509_get0_notAfter(pair.certificate.get()), &then) > 0;
}

bool is_address(const std::string& name) {
  const Octets octets(a2i_IPADDRESS(name.c_str()));
  ERR_clear_error();
  return octets != nullptr;
}

bool covers(X509* certificate, const std::vector<std::string>& names) {
  return std::ranges::all_of(names, [certificate](const std::string& name) {
    if (is_address(name)) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
    return X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1;
  });
}

bool add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// A certificate without extensions, about a new key; not signed yet.
Result<Pair> blank_pair(const std::string& name, long seconds) {
  Pair pair{Certificate(X509_new()), Key(EVP_EC_gen("P-256"))};
  if (!pair.certificate || !pair.key) return openssl_failed();
  auto* certificate = pair.certificate.get();
  std::array<unsigned char, 16> serial{};
  if (RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) return openssl_failed();
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7FU) | 0x40U);
  BIGNUM* number = BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
  X509_set_version(certificate, X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
  X509_set_pubkey(certificate, pair.key.get());
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  X509_NAME* subject = X509_NAME_new();
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, text, -1, -1, 0);
  X509_set_subject_name(certificate, subject);
  X509_NAME_free(subject);
  return pair;
}

Result<Pair> make_ca() {
  auto pair = HF_TRY(blank_pair("Holdfast private CA", kCaSeconds));
  auto* ca = pair.certificate.get();
  X509_set_issuer_name(ca, X509_get_subject_name(ca));
  const bool made = add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    add_extension(ca, ca, NID_subject_key_identifier, "hash");
  if (!made || X509_sign(ca, pair.key.get(), EVP_sha256()) == 0) return openssl_failed();
  return pair;
}

Result<Pair> make_server(const Pair& ca, const std::vector<std::string>& names) {
  auto pair = HF_TRY(blank_pair("Holdfast server", kServerSeconds));
  auto* server = pair.certificate.get();
  std::string alternatives;
  for (const auto& name : names) {
    if (!alternatives.empty()) alternatives += ',';
    alternatives += (is_address(name) ? "IP:" : "DNS:") + name;
  }
  auto* issuer = ca.certificate.get();
  X509_set_issuer_name(server, X509_get_subject_name(issuer));
  const bool made = add_extension(server, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                    add_extension(server, issuer, NID_key_usage, "critical,digitalSignature") &&
                    add_extension(server, issuer, NID_ext_key_usage, "serverAuth") &&
                    add_extension(server, issuer, NID_subject_key_identifier, "hash") &&
                    add_extension(server, issuer, NID_authority_key_identifier, "keyid") &&
                    add_extension(server, issuer, NID_subject_alt_name, alternatives);
  if (!made || X509_sign(server, ca.key.get(), EVP_sha256()) == 0) return openssl_failed();
  return pair;
}

std::string memory_text(const Memory& memory) {
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(memory.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

std::string certificate_pem(const Pair& pair) {
  const Memory memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(memory.get(), pair.certificate.get());
  return memory_text(memory);
}

std::string key_pem(const Pair& pair) {
  const Memory memory(BIO_new(BIO_s_secmem()));
  PEM_write_bio_PKCS8PrivateKey(memory.get(), pair.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return memory_text(memory);
}

std::unexpected<Error> unwritable(const fs::path& file) {
  return fail(Errc::failed_precondition,
              std::format("'{}' cannot be written; make its folder writable for this user and check "
                          "the free space.", file.string()),
              std::strerror(errno));
}

/// All or nothing: readers see the old file or the new one.
Result<void> replace_file(const fs::path& file, std::string_view text, mode_t mode) {
  const auto fresh = file.string() + ".new";
  ::unlink(fresh.c_str());
  const int out = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (out < 0) return unwritable(file);
  const bool written = ::write(out, text.data(), text.size()) == std::ssize(text) &&
                       ::fsync(out) == 0;
  const bool closed = ::close(out) == 0;
  if (!written || !closed || ::rename(fresh.c_str(), file.c_str()) != 0) return unwritable(file);
  return {};
}

Result<std::vector<std::string>> all_names(const std::vector<std::string>& asked) {
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
  for (const auto& name : asked) {
    const bool fits = is_address(name) || (!name.contains(':') && valid_host(name));
    if (!fits) {
      return fail(Errc::invalid_argument,
                  "A certificate name must be a DNS name or an IP address; correct the setting.", name);
    }
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

}  // namespace

Result<TlsFiles> ensure_certificates(const std::string& folder,
                                     const std::vector<std::string>& names) {
  const auto all = HF_TRY(all_names(names));
  const fs::path base(folder);
  std::error_code error;
  if (fs::create_directories(base, error)) fs::permissions(base, fs::perms::owner_all, error);
  const TlsFiles files{(base / "server.pem").string(), (base / "server.key").string()};
  auto ca = load(base / "ca.pem", base / "ca.key");
  const bool new_ca = !still_good(ca);
  if (new_ca) {
    ca = HF_TRY(make_ca());
    HF_TRY_VOID(replace_file(base / "ca.key", key_pem(ca), kPrivate));
    HF_TRY_VOID(replace_file(base / "ca.pem", certificate_pem(ca), kPublic));
  }
  const auto old = load(files.certificate_file, files.key_file);
  const bool keep = !new_ca && still_good(old) && covers(old.certificate.get(), all) &&
                    X509_verify(old.certificate.get(), ca.key.get()) == 1;
  ERR_clear_error();
  if (keep) return files;
  const auto server = HF_TRY(make_server(ca, all));
  HF_TRY_VOID(replace_file(files.key_file, key_pem(server), kPrivate));
  HF_TRY_VOID(replace_file(files.certificate_file, certificate_pem(server) + certificate_pem(ca),
                           kPublic));
  log::info("new server certificate in {} for {} names", folder, all.size());
  return files;
}

}  // namespace hf::http
