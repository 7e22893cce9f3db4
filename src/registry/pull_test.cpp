#include "registry/pull.hpp"

#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zip.h>

#include "base/digest.hpp"
#include "registry/gguf_builder.hpp"
#include "registry/package_index.hpp"
#include "registry/pull_test_server.hpp"

namespace hf::registry {
namespace {
namespace fs = std::filesystem;
using std::chrono::milliseconds;

// A store, a server and a model file of about 1.2 MB, in a folder that goes away.
class Pull : public testing::Test {
 protected:
  Pull() : root_(fs::temp_directory_path() / ("hf-pull-" + hex(random_bytes(6)))) {
    fs::create_directories(root_);
    store_.emplace(ModelStore::open(path("models")).value());
    auto builder = small_model();
    builder.tensor("big", 300, 1000);
    model_ = builder.build();
    options_.http = {.plain_http = PlainHttp::allow,
                     .connect_timeout = milliseconds(2000),
                     .stall_timeout = milliseconds(5000),
                     .attempts = 4,
                     .backoff = milliseconds(5)};
    options_.environment = [this](std::string_view name) -> std::optional<std::string> {
      const auto found = environment_.find(std::string(name));
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    };
    environment_["PIP_CONFIG_FILE"] = "/dev/null";
    events_.on_note = [this](const std::string& note) { notes_ += note + "\n"; };
  }
  ~Pull() override {
    std::error_code error;
    fs::remove_all(root_, error);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (root_ / name).string(); }
  Result<Pulled> pull_now(const std::string& what) {
    return pull(*store_, catalogue_, what, options_, events_);
  }
  [[nodiscard]] std::string digest() const { return sha256_hex(model_); }
  static std::string content(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  [[nodiscard]] std::size_t leftovers() const {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(path("models/blobs"))) {
      if (!entry.path().filename().string().starts_with("sha256-")) ++count;
    }
    return count;
  }
  void expect_pulled(const Result<Pulled>& pulled) {
    ASSERT_TRUE(pulled) << pulled.error().message << pulled.error().detail;
    EXPECT_EQ(pulled->record.digest, digest());
    EXPECT_EQ(content(store_->find(pulled->record.name)->path), model_);
    EXPECT_EQ(leftovers(), 0u);
  }

  fs::path root_;
  std::optional<ModelStore> store_;
  PullTestServer server_;
  std::string model_;
  Catalogue catalogue_;
  PullOptions options_;
  PullEvents events_;
  std::map<std::string, std::string> environment_;
  std::string notes_;
};

TEST_F(Pull, brings_a_file_over_http_and_knows_it_next_time) {
  server_.put("/Tiny%20Model-Q4.gguf", {.body = model_});
  std::uint64_t shown = 0;
  events_.on_progress = [&](const Progress& progress) { shown = progress.bytes_done; };
  const auto first = pull_now(server_.address("/Tiny%20Model-Q4.gguf"));
  expect_pulled(first);
  EXPECT_EQ(first->record.name, "tiny-model-q4");
  EXPECT_EQ(first->check, DigestCheck::first_use);
  EXPECT_EQ(shown, model_.size());
  const auto again = pull_now(server_.address("/Tiny%20Model-Q4.gguf"));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->already_there);
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(Pull, resumes_after_each_cut_without_fetching_twice) {
  server_.put("/m.gguf", {.body = model_, .cut_after = 200'000, .cuts = 3});
  options_.sha256 = digest();
  const auto pulled = pull_now(server_.address("/m.gguf"));
  expect_pulled(pulled);
  EXPECT_EQ(pulled->check, DigestCheck::expected);
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests.at(1).headers.at("range"), "bytes=200000-");
  EXPECT_EQ(requests.at(1).headers.at("if-range"), "\"v1\"");
  EXPECT_EQ(server_.body_bytes_sent(), model_.size());
}

TEST_F(Pull, resumes_in_a_later_call) {
  server_.put("/m.gguf", {.body = model_, .cut_after = 300'000, .cuts = 4});
  options_.http.attempts = 1;
  for (int call = 0; call < 3; ++call) EXPECT_FALSE(pull_now(server_.address("/m.gguf")));
  EXPECT_GT(leftovers(), 0u);
  server_.put("/m.gguf", {.body = model_});
  expect_pulled(pull_now(server_.address("/m.gguf")));
  EXPECT_EQ(server_.body_bytes_sent(), model_.size());
}

TEST_F(Pull, starts_again_when_the_file_has_changed_meanwhile) {
  auto old = model_;
  old[old.size() - 5] = 'x';
  server_.put("/m.gguf", {.body = old, .cut_after = 300'000, .cuts = 9});
  options_.http.attempts = 1;
  EXPECT_FALSE(pull_now(server_.address("/m.gguf")));
  server_.put("/m.gguf", {.body = model_, .etag = "\"v2\""});
  expect_pulled(pull_now(server_.address("/m.gguf")));
}

TEST_F(Pull, starts_again_when_the_server_ignores_ranges) {
  server_.put("/m.gguf", {.body = model_, .ranges = false, .cut_after = 300'000, .cuts = 1});
  expect_pulled(pull_now(server_.address("/m.gguf")));
  EXPECT_NE(notes_.find("from the beginning"), std::string::npos) << notes_;
}

TEST_F(Pull, does_not_resume_what_nothing_identifies) {
  server_.put("/m.gguf", {.body = model_, .etag = "", .cut_after = 300'000, .cuts = 1});
  expect_pulled(pull_now(server_.address("/m.gguf")));
  EXPECT_FALSE(server_.requests().at(1).headers.contains("range"));
}

TEST_F(Pull, repairs_a_partial_file_that_went_bad) {
  server_.put("/m.gguf", {.body = model_, .cut_after = 300'000, .cuts = 1});
  options_.http.attempts = 1;
  options_.sha256 = digest();
  EXPECT_FALSE(pull_now(server_.address("/m.gguf")));
  for (const auto& entry : fs::directory_iterator(path("models/blobs"))) {
    if (entry.path().extension() != ".partial") continue;
    std::fstream(entry.path(), std::ios::in | std::ios::out | std::ios::binary).seekp(1000)
        << "rot";
  }
  expect_pulled(pull_now(server_.address("/m.gguf")));
  EXPECT_NE(notes_.find("from the start"), std::string::npos) << notes_;
}

TEST_F(Pull, removes_a_file_with_the_wrong_digest_and_tells_both) {
  server_.put("/m.gguf", {.body = model_});
  options_.sha256 = sha256_hex("another");
  const auto refused = pull_now(server_.address("/m.gguf"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::data_corrupt);
  EXPECT_NE(refused.error().message.find(digest()), std::string::npos);
  EXPECT_NE(refused.error().message.find(options_.sha256), std::string::npos);
  EXPECT_EQ(leftovers(), 0u);
  EXPECT_TRUE(store_->list()->empty());
}

TEST_F(Pull, checks_what_a_hub_says_about_its_file) {
  environment_["HF_ENDPOINT"] = server_.address("/hub/");
  environment_["HF_TOKEN"] = "secret-token";
  const std::string target = "/hub/owner/repo/resolve/main/sub/m.gguf";
  server_.put(target,
              {.status = 302,
               .headers = {"Location: /cdn?x=1", std::format("X-Linked-ETag: \"{}\"", digest())}});
  server_.put("/cdn?x=1", {.body = model_});
  const auto pulled = pull_now("hf:owner/repo/sub/m.gguf");
  expect_pulled(pulled);
  EXPECT_EQ(pulled->check, DigestCheck::origin);
  EXPECT_EQ(server_.requests().front().headers.at("authorization"), "Bearer secret-token");
  ASSERT_TRUE(store_->remove("m"));
  auto damaged = model_;
  damaged[5000] ^= 1;
  server_.put("/cdn?x=1", {.body = damaged});
  EXPECT_EQ(pull_now("hf:owner/repo/sub/m.gguf").error().code, Errc::data_corrupt);
  EXPECT_EQ(leftovers(), 0u);
}

TEST_F(Pull, keeps_the_token_from_other_hosts) {
  PullTestServer other;
  other.put("/cdn", {.body = model_});
  environment_["HF_ENDPOINT"] = server_.address("");
  environment_["HF_TOKEN"] = "secret-token";
  server_.put("/o/r/resolve/main/m.gguf",
              {.status = 302, .headers = {"Location: " + other.address("/cdn")}});
  expect_pulled(pull_now("hf:o/r/m.gguf"));
  EXPECT_FALSE(other.requests().front().headers.contains("authorization"));
}

TEST_F(Pull, says_what_to_do_about_each_refusal) {
  const auto code_and_word = [&](int status, Errc code, const std::string& word) {
    server_.put("/m.gguf", {.status = status});
    const auto refused = pull_now(server_.address("/m.gguf"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, code) << status;
    EXPECT_NE(refused.error().message.find(word), std::string::npos) << refused.error().message;
  };
  code_and_word(404, Errc::not_found, "another source");
  code_and_word(401, Errc::unauthenticated, "HF_TOKEN");
  code_and_word(403, Errc::permission_denied, "terms");
  const auto before = server_.requests().size();
  code_and_word(503, Errc::unavailable, "later");
  EXPECT_EQ(server_.requests().size() - before, 4u) << "a busy server is asked again";
  options_.http.plain_http = PlainHttp::refuse;
  code_and_word(200, Errc::invalid_argument, "plain HTTP");
}

TEST_F(Pull, tells_dead_hosts_dead_proxies_and_slow_servers_apart) {
  options_.http.attempts = 1;
  const auto word = [&](const std::string& address, Errc code, const std::string& text) {
    const auto refused = pull_now(address);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, code) << refused.error().message;
    EXPECT_NE(refused.error().message.find(text), std::string::npos) << refused.error().message;
  };
  word("http://127.0.0.1:1/m.gguf", Errc::unavailable, "HTTPS_PROXY");
  word("https://no-such-host.invalid/m.gguf", Errc::unavailable, "DNS");
  word(server_.address("/").replace(0, 4, "https") + "m.gguf", Errc::unavailable, "TLS");
  options_.http.stall_timeout = milliseconds(300);
  server_.put("/m.gguf", {.body = model_, .pause_before_body = milliseconds(1500)});
  word(server_.address("/m.gguf"), Errc::deadline_exceeded, "sent nothing");
  options_.http.proxy = "http://no-such-proxy.invalid:3128";
  word(server_.address("/m.gguf"), Errc::unavailable, "proxy");
}

TEST_F(Pull, refuses_before_the_disk_is_full_with_both_numbers) {
  server_.put("/m.gguf", {.body = model_});
  options_.free_bytes = [](const std::string&) -> Result<std::uint64_t> { return 500'000; };
  const auto refused = pull_now(server_.address("/m.gguf"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::resource_exhausted);
  EXPECT_NE(refused.error().message.find("1.2 MB are needed, 500.0 kB are free"), std::string::npos)
      << refused.error().message;
}

TEST_F(Pull, refuses_what_is_no_model_or_another_model_of_that_name) {
  server_.put("/m.gguf", {.body = "<html>sign in</html>"});
  EXPECT_EQ(pull_now(server_.address("/m.gguf")).error().code, Errc::data_corrupt);
  EXPECT_EQ(leftovers(), 0u);
  server_.put("/m.gguf", {.body = model_});
  server_.put("/other/m.gguf", {.body = small_model("2").build()});
  expect_pulled(pull_now(server_.address("/m.gguf")));
  EXPECT_EQ(pull_now(server_.address("/other/m.gguf")).error().code, Errc::already_exists);
}

TEST_F(Pull, stops_when_told_and_goes_on_later) {
  server_.put("/m.gguf", {.body = model_, .pause_each_64k = milliseconds(10)});
  std::uint64_t seen = 0;
  events_.on_progress = [&](const Progress& progress) { seen = progress.bytes_done; };
  events_.cancelled = [&] { return seen > 300'000; };
  EXPECT_EQ(pull_now(server_.address("/m.gguf")).error().code, Errc::cancelled);
  events_.cancelled = {};
  expect_pulled(pull_now(server_.address("/m.gguf")));
  EXPECT_TRUE(server_.requests().back().headers.contains("range"));
}

TEST_F(Pull, goes_on_where_a_killed_process_stopped) {
  server_.put("/m.gguf", {.body = model_, .pause_each_64k = milliseconds(30)});
  options_.sha256 = digest();
  const auto child = ::fork();
  if (child == 0) {
    static_cast<void>(pull_now(server_.address("/m.gguf")));
    ::_exit(0);
  }
  for (int i = 0; i < 400 && server_.body_bytes_sent() < 400'000; ++i)
    std::this_thread::sleep_for(milliseconds(5));
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(store_->list()->empty());
  server_.put("/m.gguf", {.body = model_});
  expect_pulled(pull_now(server_.address("/m.gguf")));
  const auto range = server_.requests().back().headers.at("range");
  EXPECT_GT(std::strtoull(range.c_str() + 6, nullptr, 10), 100'000u) << range;
}

TEST_F(Pull, lets_one_process_fetch_a_file_at_a_time) {
  server_.put("/m.gguf", {.body = model_, .pause_each_64k = milliseconds(30)});
  const auto child = ::fork();
  if (child == 0) ::_exit(pull_now(server_.address("/m.gguf")) ? 0 : 1);
  while (server_.body_bytes_sent() < 100'000) std::this_thread::sleep_for(milliseconds(2));
  EXPECT_EQ(pull_now(server_.address("/m.gguf")).error().code, Errc::failed_precondition);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(pull_now(server_.address("/m.gguf"))->already_there);
}

TEST_F(Pull, copies_local_files) {
  std::ofstream(path("Local.gguf"), std::ios::binary) << model_;
  const auto pulled = pull_now("file:" + path("Local.gguf"));
  expect_pulled(pulled);
  EXPECT_EQ(pulled->record.name, "local");
  EXPECT_EQ(pull_now("file:" + path("none.gguf")).error().code, Errc::not_found);
}

// A wheel as pip would fetch it; the members are stored or deflated.
std::string make_wheel(const std::string& file, const std::map<std::string, std::string>& members,
                       zip_int32_t method) {
  fs::remove(file);
  auto* archive = zip_open(file.c_str(), ZIP_CREATE, nullptr);
  for (const auto& [name, bytes] : members) {
    auto* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const auto index = zip_file_add(archive, name.c_str(), source, 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), method, 0);
  }
  EXPECT_EQ(zip_close(archive), 0);
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST_F(Pull, takes_a_model_out_of_a_wheel_stored_or_deflated) {
  environment_["PIP_INDEX_URL"] = server_.address("/simple/");
  for (const auto method : {ZIP_CM_STORE, ZIP_CM_DEFLATE}) {
    const auto wheel =
        make_wheel(path("w.whl"), {{"tiny/m.gguf", model_}, {"tiny/__init__.py", ""}}, method);
    server_.put("/files/tiny_model-1.2-py3-none-any.whl",
                {.body = wheel, .cut_after = 2000, .cuts = 1});
    server_.put(
        "/simple/tiny-model/",
        {.body = std::format(
             "<html><a href=\"../../files/tiny_model-1.1-py3-none-any.whl\">old</a>"
             "<A class=x HREF='../../files/tiny_model-1.2-py3-none-any.whl#sha256={}'>x</A>",
             sha256_hex(wheel)),
         .content_type = "text/html; charset=utf-8"});
    const auto pulled = pull_now("pip:Tiny.Model==1.2#tiny/m.gguf");
    expect_pulled(pulled);
    EXPECT_EQ(pulled->check, DigestCheck::origin);
    EXPECT_TRUE(server_.requests().back().headers.contains("range"));
    ASSERT_TRUE(store_->remove("m"));
  }
  EXPECT_EQ(pull_now("pip:tiny-model==1.2#tiny/other.gguf").error().code, Errc::not_found);
  EXPECT_EQ(pull_now("pip:tiny-model==9#tiny/m.gguf").error().code, Errc::not_found);
  EXPECT_EQ(pull_now("pip:unknown==9#tiny/m.gguf").error().code, Errc::not_found);
}

TEST_F(Pull, joins_parts_from_several_wheels_and_a_json_index) {
  environment_["PIP_INDEX_URL"] = server_.address("/empty");
  environment_["PIP_EXTRA_INDEX_URL"] = server_.address("/simple");
  const auto half = model_.size() / 2;
  for (const int part : {1, 2}) {
    const auto name = std::format("parts_part{}-1.0-py3-none-any.whl", part);
    const auto wheel = make_wheel(
        path("w.whl"), {{"d/x.part", part == 1 ? model_.substr(0, half) : model_.substr(half)}},
        ZIP_CM_DEFLATE);
    server_.put("/f/" + name, {.body = wheel});
    server_.put(
        std::format("/simple/parts-part{}/", part),
        {.body = std::format(
             R"({{"files":[{{"filename":"{}","url":"/f/{}","size":{},)"
                             R"("hashes":{{"sha256":"{}"}}}}]}})",
             name, name, wheel.size(), sha256_hex(wheel)),
         .content_type = "application/vnd.pypi.simple.v1+json"});
  }
  options_.sha256 = digest();
  options_.name = "joined";
  expect_pulled(pull_now("pip:parts-part1==1.0#d/x.part+parts-part2==1.0#d/x.part"));
}

TEST_F(Pull, finds_wheels_in_link_folders_and_leaves_them_there) {
  fs::create_directories(path("links"));
  make_wheel(path("links/tiny-1.0-py3-none-any.whl"), {{"m.gguf", model_}}, ZIP_CM_DEFLATE);
  environment_["PIP_FIND_LINKS"] = path("links");
  environment_["PIP_NO_INDEX"] = "1";
  expect_pulled(pull_now("pip:tiny==1.0#m.gguf"));
  EXPECT_TRUE(fs::exists(path("links/tiny-1.0-py3-none-any.whl")));
}

TEST_F(Pull, refuses_a_wheel_that_is_not_the_index_s) {
  environment_["PIP_INDEX_URL"] = server_.address("/simple");
  const auto wheel = make_wheel(path("w.whl"), {{"m.gguf", model_}}, ZIP_CM_STORE);
  server_.put("/f/tiny-1.0-py3-none-any.whl", {.body = wheel});
  server_.put("/simple/tiny/",
              {.body = "<a href='/f/tiny-1.0-py3-none-any.whl#sha256=" + sha256_hex("x") + "'>",
               .content_type = "text/html"});
  EXPECT_EQ(pull_now("pip:tiny==1.0#m.gguf").error().code, Errc::data_corrupt);
  EXPECT_EQ(leftovers(), 0u);
}

class PullByName : public Pull {
 protected:
  void know(const std::string& sha256, const std::vector<std::string>& sources, bool ask = false) {
    std::string list;
    for (const auto& source : sources) list += (list.empty() ? "\"" : ", \"") + source + "\"";
    catalogue_ =
        Catalogue::parse(
            {std::format(
                R"({{"models":[{{"name":"tiny","aliases":["T"],"kind":"chat","licence":"Own",)"
                R"("licence_url":"https://l",)"
                R"("needs_acceptance":{},"bytes":{},"sha256":"{}","sources":[{}]}}]}})",
                ask, sha256.empty() ? 0 : model_.size(), sha256, list)})
            .value();
  }
};

TEST_F(PullByName, tries_sources_in_order_and_tells_every_reason) {
  const auto good = server_.address("/m.gguf");
  know(digest(), {server_.address("/missing.gguf"), "file:" + path("none.gguf"), good});
  server_.put("/m.gguf", {.body = model_});
  const auto pulled = pull_now("t");
  expect_pulled(pulled);
  EXPECT_EQ(pulled->check, DigestCheck::expected);
  EXPECT_EQ(pulled->record.source, good);
  EXPECT_EQ(pulled->record.licence, "Own");
  ASSERT_TRUE(store_->remove("tiny"));
  server_.put("/m.gguf", {.body = model_.substr(0, model_.size() - 1)});
  const auto failed = pull_now("tiny");
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("1) "), std::string::npos);
  EXPECT_NE(failed.error().message.find("status 404"), std::string::npos) << failed.error().message;
  EXPECT_NE(failed.error().message.find("3) "), std::string::npos) << failed.error().message;
}

TEST_F(PullByName, trusts_the_first_use_where_nobody_measured) {
  know("", {server_.address("/m.gguf")});
  server_.put("/m.gguf", {.body = model_});
  const auto pulled = pull_now("tiny");
  expect_pulled(pulled);
  EXPECT_EQ(pulled->check, DigestCheck::first_use);
}

TEST_F(PullByName, asks_before_fetching_a_licence_that_needs_it) {
  know(digest(), {server_.address("/m.gguf")}, true);
  server_.put("/m.gguf", {.body = model_});
  EXPECT_EQ(pull_now("tiny").error().code, Errc::permission_denied);
  std::string asked;
  events_.accept_licence = [&](const CatalogueEntry& entry) {
    asked = entry.licence_address;
    return asked == "no";
  };
  EXPECT_EQ(pull_now("tiny").error().code, Errc::permission_denied);
  EXPECT_EQ(asked, "https://l");
  EXPECT_TRUE(server_.requests().empty());
  events_.accept_licence = [](const CatalogueEntry&) { return true; };
  expect_pulled(pull_now("tiny"));
}

TEST_F(PullByName, uses_a_file_that_is_already_here_under_another_name) {
  std::ofstream(path("x.gguf"), std::ios::binary) << model_;
  ASSERT_TRUE(store_->import_file(path("x.gguf"), "other", "MIT"));
  know(digest(), {server_.address("/m.gguf")});
  const auto pulled = pull_now("tiny");
  ASSERT_TRUE(pulled);
  EXPECT_TRUE(pulled->already_there);
  EXPECT_TRUE(server_.requests().empty());
  EXPECT_NE(pull_now("nobody").error().message.find("tiny"), std::string::npos);
}

}  // namespace
}  // namespace hf::registry
