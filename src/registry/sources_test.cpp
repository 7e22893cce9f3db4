#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "base/digest.hpp"
#include "registry/catalogue.hpp"
#include "registry/package_index.hpp"
#include "registry/pip_config.hpp"
#include "registry/progress_bar.hpp"
#include "registry/source.hpp"

namespace hf::registry {
namespace {

TEST(Source, reads_every_form) {
  const auto hub = parse_source("hf:owner/repo/sub/file.gguf").value();
  EXPECT_EQ(hub.repository, "owner/repo");
  EXPECT_EQ(hub.path, "sub/file.gguf");
  EXPECT_EQ(parse_source("file:///a/b.gguf")->path, "/a/b.gguf");
  const auto wheel = parse_source("pip:a-b==1.0+cpu#x/y+z.gguf+c==2#w").value();
  ASSERT_EQ(wheel.parts.size(), 2u);
  EXPECT_EQ(wheel.parts.at(0).version, "1.0+cpu");
  EXPECT_EQ(wheel.parts.at(0).member, "x/y+z.gguf");
  EXPECT_EQ(wheel.parts.at(1).package, "c");
  const auto address = parse_source("https://user:secret@host/a%20b.gguf?sig=1").value();
  EXPECT_EQ(address.text, "https://host/a%20b.gguf");
  EXPECT_EQ(source_file_name(address), "a b.gguf");
}

TEST(Source, refuses_what_it_cannot_read) {
  for (const auto* text :
       {"", "x", "hf:a", "hf:a/b", "hf:/b/c", "hf:a//c", "hf:a/b/../c", "pip:a", "pip:a==1",
        "pip:a==1#", "pip:a b==1#x", "pip:#==", "file:", "https://", "ftp://h/x"}) {
    const auto refused = parse_source(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  }
}

TEST(Catalogue, of_the_project_is_sound) {
  const auto catalogue = Catalogue::load({HF_TEST_DATA "/../../packaging/catalogue.json", ""});
  ASSERT_TRUE(catalogue) << catalogue.error().message;
  ASSERT_NE(catalogue->default_entry(), nullptr);
  EXPECT_EQ(catalogue->default_entry()->name, "smollm2-135m-instruct");
  EXPECT_TRUE(catalogue->find("Gemma3-270M")->needs_acceptance);
  std::set<std::string> names;
  for (const auto& entry : catalogue->entries()) {
    EXPECT_TRUE(names.insert(entry.name).second);
    for (const auto& alias : entry.aliases) EXPECT_TRUE(names.insert(alias).second) << alias;
    EXPECT_FALSE(entry.title_en.empty() || entry.title_zh.empty() || entry.licence.empty() ||
                 entry.kind.empty());
    EXPECT_EQ(entry.bytes == 0, entry.sha256.empty()) << entry.name;
  }
}

TEST(Catalogue, lets_the_organisation_replace_and_add) {
  const std::string base =
      R"({"models":[{"name":"a","default":true,"sources":["file:x"]},)"
      R"({"name":"b","sources":["file:x"]}]})";
  const std::string own =
      R"({"models":[{"name":"b","sources":["file:mine"]},)"
      R"({"name":"c","default":true,"sources":["hf:a/b/c"]}]})";
  const auto merged = Catalogue::parse({base, own}).value();
  EXPECT_EQ(merged.entries().size(), 3u);
  EXPECT_EQ(merged.find("b")->sources.front(), "file:mine");
  EXPECT_EQ(merged.default_entry()->name, "c");
  for (const auto* bad :
       {"", "[]", R"({"models":[1]})", R"({"models":[{"name":"A b"}]})",
        R"({"models":[{"name":"a"}]})", R"({"models":[{"name":"a","sources":["x"]}]})",
        R"({"models":[{"name":"a","sources":["file:x"],"sha256":"12"}]})",
        R"({"models":[{"name":"a","sources":["file:x"],"bytes":-1}]})"}) {
    EXPECT_EQ(Catalogue::parse({bad}).error().code, Errc::data_corrupt) << bad;
  }
}

class PipSettings : public testing::Test {
 protected:
  PipSettings()
      : root_(std::filesystem::temp_directory_path() / ("hf-pip-" + hex(random_bytes(6)))) {
    std::filesystem::create_directories(root_ / ".config/pip");
    environment_["HOME"] = root_.string();
  }
  ~PipSettings() override {
    std::error_code error;
    std::filesystem::remove_all(root_, error);
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(root_ / name) << text;
  }
  Result<PipConfig> read() {
    return read_pip_config(
        [this](std::string_view name) -> std::optional<std::string> {
          const auto found = environment_.find(std::string(name));
          return found == environment_.end() ? std::nullopt : std::optional(found->second);
        },
        {(root_ / "system.conf").string()});
  }
  std::filesystem::path root_;
  std::map<std::string, std::string> environment_;
};

TEST_F(PipSettings, layers_files_and_variables_as_pip_does) {
  write("system.conf", "[global]\nindex-url = https://system/simple/\ncert=/system.pem\n; note\n");
  write(
      ".config/pip/pip.conf",
      "[global]\nindex_url: https://user/simple\nextra-index-url =\n  https://x/1\n  https://x/2\n"
      "[install]\ntrusted-host = Mirror.example:8080\n");
  auto config = read().value();
  EXPECT_EQ(config.indexes,
            (std::vector<std::string>{"https://user/simple", "https://x/1", "https://x/2"}));
  EXPECT_EQ(config.ca_file, "/system.pem");
  EXPECT_EQ(config.trusted_hosts, std::vector<std::string>{"mirror.example:8080"});
  environment_["PIP_INDEX_URL"] = "https://variable/simple";
  environment_["PIP_DEFAULT_TIMEOUT"] = "7";
  environment_["PIP_PROXY"] = "http://proxy:1";
  config = read().value();
  EXPECT_EQ(config.indexes.front(), "https://variable/simple");
  EXPECT_EQ(config.timeout.count(), 7);
  EXPECT_EQ(config.proxy, "http://proxy:1");
  environment_["PIP_CONFIG_FILE"] = "/dev/null";
  EXPECT_EQ(read()->ca_file, "");
  environment_["PIP_CONFIG_FILE"] = (root_ / "own.conf").string();
  write("own.conf", "[global]\ncert = /own.pem\n");
  EXPECT_EQ(read()->ca_file, "/own.pem");
  write("own.conf", "no section\n");
  EXPECT_EQ(read().error().code, Errc::data_corrupt);
}

TEST_F(PipSettings, allow_plain_http_for_trusted_hosts_only) {
  environment_["PIP_TRUSTED_HOST"] = "mirror other:81";
  const auto config = read().value();
  const auto plain = [&](const std::string& address) {
    return settings_for(config, {}, address).plain_http == PlainHttp::allow;
  };
  EXPECT_TRUE(plain("http://mirror/simple"));
  EXPECT_TRUE(plain("http://mirror:8080/simple"));
  EXPECT_TRUE(plain("http://other:81/"));
  EXPECT_FALSE(plain("http://other:82/"));
  EXPECT_TRUE(plain("http://127.0.0.1:5/"));
  EXPECT_FALSE(plain("http://example/"));
  EXPECT_EQ(settings_for(config, {}, "https://example/").certificates, CertificateCheck::on);
}

TEST(PackageIndex, knows_wheels_by_name_and_version) {
  EXPECT_EQ(normal_package_name("A_b.-C"), "a-b-c");
  EXPECT_TRUE(is_wheel_of("A_b-1.0-py3-none-any.whl", {"a-b", "1.0", ""}));
  EXPECT_FALSE(is_wheel_of("A_b-1.0.1-py3-none-any.whl", {"a-b", "1.0", ""}));
  EXPECT_FALSE(is_wheel_of("a_b_c-1.0-py3-none-any.whl", {"a-b", "1.0", ""}));
  EXPECT_FALSE(is_wheel_of("a_b-1.0.tar.gz", {"a-b", "1.0", ""}));
}

TEST(PackageIndex, reads_odd_pages) {
  const auto links =
      parse_index_page(
          "<base href='/deep/er/'><a data-href='no' href = \"x.whl?a=1&amp;b=2\">t</a><a name=z>"
          "<a href=y.whl#sha256=12><a href='",
          "text/html", "https://h/simple/p/")
          .value();
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links.at(0).address, "https://h/deep/er/x.whl?a=1&b=2");
  EXPECT_EQ(links.at(0).file, "x.whl");
  EXPECT_EQ(links.at(1).sha256, "") << "a digest of the wrong length is none";
  EXPECT_FALSE(parse_index_page("{]", "application/json", "https://h/"));
  EXPECT_FALSE(parse_index_page("{\"files\":{}}", "application/json", "https://h/"));
  EXPECT_TRUE(
      parse_index_page("{\"files\":[1,{\"url\":2},{\"url\":\"a.whl\",\"size\":-1,\"hashes\":3}]}",
                       "application/json", "https://h/"));
}

TEST(ProgressLine, fits_every_width) {
  Progress progress{.what = "a-model-with-quite-a-long-name.Q4_K_M.gguf (2 of 5)",
                    .bytes_done = 49'000'000,
                    .bytes_total = 98'000'000,
                    .bytes_per_second = 12.3e6,
                    .remaining = std::chrono::seconds(4)};
  for (unsigned columns = 1; columns < 300; ++columns) {
    for (const std::uint64_t total : {0ULL, 98'000'000ULL}) {
      progress.bytes_total = total;
      EXPECT_LE(progress_line(progress, columns).size(), std::max(columns, 20U)) << columns;
    }
  }
  progress.bytes_total = 98'000'000;
  const auto line = progress_line(progress, 110);
  for (const auto* part : {" 50%", "49.0 MB of 98.0 MB", "12.3 MB/s", "0:04 left", "[####"}) {
    EXPECT_NE(line.find(part), std::string::npos) << line;
  }
  progress.what = "evil\x1b[2J\n.gguf";
  EXPECT_EQ(progress_line(progress, 110).find_first_of("\x1b\n"), std::string::npos);
}

}  // namespace
}  // namespace hf::registry
