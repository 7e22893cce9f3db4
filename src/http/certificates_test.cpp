#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/server.hpp"
#include "http/transport.hpp"

namespace hf::http {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class Certificates : public testing::Test {
 protected:
  void SetUp() override {
    auto pattern = (fs::temp_directory_path() / "holdfast-cert-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { fs::remove_all(folder); }

  [[nodiscard]] unsigned mode(const char* name) const {
    struct stat found {};
    ::stat((folder / name).c_str(), &found);
    return found.st_mode & 0777U;
  }
  /// Signs the server's certificate anew with an end in `days`.
  void shorten(int days) const {
    auto* file = std::fopen((folder / "server.pem").c_str(), "r");
    auto* server = PEM_read_X509(file, nullptr, nullptr, nullptr);
    std::fclose(file);
    file = std::fopen((folder / "ca.key").c_str(), "r");
    auto* key = PEM_read_PrivateKey(file, nullptr, nullptr, nullptr);
    std::fclose(file);
    X509_gmtime_adj(X509_getm_notAfter(server), 86400L * days);
    X509_sign(server, key, EVP_sha256());
    file = std::fopen((folder / "server.pem").c_str(), "w");
    PEM_write_X509(file, server);
    std::fclose(file);
    X509_free(server);
    EVP_PKEY_free(key);
  }
  fs::path folder;
};

TEST_F(Certificates, are_made_once_and_kept) {
  const auto files = ensure_certificates(folder / "new", {"llm.example.org", "10.0.0.7"});
  ASSERT_TRUE(files.has_value()) << files.error().message;
  folder /= "new";
  EXPECT_EQ(mode("ca.key"), 0600U);
  EXPECT_EQ(mode("server.key"), 0600U);
  ASSERT_TRUE(load_tls(*files).has_value());
  const auto before = content(folder / "server.pem");
  ASSERT_TRUE(ensure_certificates(folder, {"10.0.0.7"}).has_value());
  EXPECT_EQ(content(folder / "server.pem"), before);
  folder = folder.parent_path();
}

TEST_F(Certificates, are_renewed_in_time_under_the_same_ca) {
  ASSERT_TRUE(ensure_certificates(folder, {}).has_value());
  const auto ca = content(folder / "ca.pem");
  shorten(31);
  const auto long_enough = content(folder / "server.pem");
  ASSERT_TRUE(ensure_certificates(folder, {}).has_value());
  EXPECT_EQ(content(folder / "server.pem"), long_enough);
  shorten(29);
  const auto too_short = content(folder / "server.pem");
  ASSERT_TRUE(ensure_certificates(folder, {}).has_value());
  EXPECT_NE(content(folder / "server.pem"), too_short);
  EXPECT_EQ(content(folder / "ca.pem"), ca);
}

TEST_F(Certificates, follow_new_names_and_lost_keys) {
  const auto files = ensure_certificates(folder, {});
  const auto before = content(folder / "server.pem");
  ASSERT_TRUE(ensure_certificates(folder, {"new.example.org"}).has_value());
  EXPECT_NE(content(folder / "server.pem"), before);
  fs::remove(folder / "server.key");
  ASSERT_TRUE(ensure_certificates(folder, {}).has_value());
  EXPECT_TRUE(load_tls(*files).has_value());
}

TEST_F(Certificates, errors_say_what_to_do) {
  const auto bad_name = ensure_certificates(folder, {"a,DNS:evil"});
  ASSERT_FALSE(bad_name.has_value());
  EXPECT_EQ(bad_name.error().code, Errc::invalid_argument);
  const auto not_a_folder = ensure_certificates("/proc/nowhere", {});
  ASSERT_FALSE(not_a_folder.has_value());
  EXPECT_TRUE(not_a_folder.error().message.contains("/proc/nowhere"));

  const auto files = *ensure_certificates(folder, {});
  const auto missing = load_tls({files.certificate_file, "/nowhere.key"});
  ASSERT_FALSE(missing.has_value());
  EXPECT_TRUE(missing.error().message.contains("'/nowhere.key' does not exist"));
  const auto swapped = load_tls({files.certificate_file, (folder / "ca.key").string()});
  ASSERT_FALSE(swapped.has_value());
  EXPECT_TRUE(swapped.error().message.contains("key"));
  std::ofstream(folder / "junk.pem") << "junk";
  EXPECT_FALSE(load_tls({(folder / "junk.pem").string(), files.key_file}).has_value());
}

}  // namespace
}  // namespace hf::http
