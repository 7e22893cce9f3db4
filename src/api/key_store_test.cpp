#include "api/key_store.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include <sys/stat.h>

#include "api/replying_models.hpp"

namespace hf::api {
namespace {

constexpr std::int64_t kDay = std::int64_t{24} * 60 * 60;

/// A store whose time the test sets and which looks at its file every time.
class KeyStoreTest : public testing::Test {
 protected:
  std::unique_ptr<KeyStore> open() {
    return KeyStore::open(folder_.path(), {.now = [this] { return now_; },
                                           .look_after = std::chrono::milliseconds(0)})
        .value();
  }
  [[nodiscard]] std::string file(std::string_view name) const {
    std::ifstream in(folder_.path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  [[nodiscard]] mode_t mode(std::string_view name) const {
    struct stat status{};
    ::stat(folder_.path(name).c_str(), &status);
    return status.st_mode & 0777U;
  }
  TestFolder folder_;
  std::int64_t now_ = std::time(nullptr);
};

TEST_F(KeyStoreTest, a_key_has_the_promised_form_and_opens_the_door) {
  const auto store = open();
  const auto created = store->create({.name = "app"}).value();
  EXPECT_EQ(created.secret.size(), 3 + 12 + 1 + 43U);
  EXPECT_TRUE(created.secret.starts_with("hf_" + created.record.id + "_"));
  const auto record = store->check(created.secret);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->key.name, "app");
  EXPECT_EQ(record->key.permissions, (std::vector{Permission::infer, Permission::models}));
}

TEST_F(KeyStoreTest, nothing_that_opens_the_door_is_on_the_disk) {
  const auto created = open()->create({.name = "app"}).value();
  const auto text = file("keys.json");
  EXPECT_TRUE(text.contains(created.record.id));
  EXPECT_FALSE(text.contains(created.secret.substr(created.secret.size() - 43)));
  EXPECT_EQ(mode("keys.json"), 0600U);
  EXPECT_EQ(mode("pepper"), 0600U);
  EXPECT_EQ(mode(""), 0700U);
}

TEST_F(KeyStoreTest, any_changed_character_is_refused) {
  const auto store = open();
  const auto secret = store->create({.name = "app"}).value().secret;
  for (std::size_t at = 0; at < secret.size(); ++at) {
    auto wrong = secret;
    wrong[at] = wrong[at] == 'x' ? 'y' : 'x';
    const auto refused = store->check(wrong);
    ASSERT_FALSE(refused) << at;
    EXPECT_EQ(refused.error().code, kKeyUnknown);
  }
  for (const auto& wrong : {std::string(), secret + "x", secret.substr(0, secret.size() - 1),
                           std::string("hf_"), std::string("hf__"), std::string(100'000, 'h')}) {
    EXPECT_FALSE(store->check(wrong));
  }
}

TEST_F(KeyStoreTest, an_expired_key_is_told_so) {
  const auto store = open();
  const auto secret = store->create({.name = "app", .expires = now_ + 10}).value().secret;
  EXPECT_TRUE(store->check(secret));
  now_ += 10;
  EXPECT_EQ(store->check(secret).error().code, kKeyExpired);
}

TEST_F(KeyStoreTest, sees_what_another_process_does) {
  const auto server = open();
  const auto tool = open();
  const auto created = tool->create({.name = "app"}).value();
  EXPECT_TRUE(server->check(created.secret));
  EXPECT_EQ(server->list().size(), 1U);
  ASSERT_TRUE(tool->revoke(created.record.id));
  EXPECT_FALSE(server->check(created.secret));
  EXPECT_EQ(tool->revoke(created.record.id).error().code, Errc::not_found);
}

TEST_F(KeyStoreTest, looks_at_the_file_again_within_its_time) {
  const auto server =
      KeyStore::open(folder_.path(), {.look_after = std::chrono::milliseconds(30)}).value();
  EXPECT_TRUE(server->list().empty());
  const auto secret = open()->create({.name = "app"}).value().secret;
  std::this_thread::sleep_for(std::chrono::milliseconds(40));
  EXPECT_TRUE(server->check(secret));
}

TEST_F(KeyStoreTest, loses_no_key_when_many_write_at_once) {
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([this] {
      const auto store = open();
      for (int made = 0; made < 10; ++made) EXPECT_TRUE(store->create({.name = "many"}));
    });
  }
  for (auto& writer : writers) writer.join();
  std::set<std::string> ids;
  for (const auto& record : open()->list()) ids.insert(record.id);
  EXPECT_EQ(ids.size(), 40U);
}

TEST_F(KeyStoreTest, everything_about_a_key_survives_reopening) {
  const NewKey wanted{.name = "batch-jobs",
                      .permissions = {Permission::metrics, Permission::keys},
                      .priority_max = wire::Priority::batch,
                      .expires = now_ + kDay};
  open()->create(wanted).value();
  const auto found = open()->list();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].key.name, wanted.name);
  EXPECT_EQ(found[0].key.permissions, wanted.permissions);
  EXPECT_EQ(found[0].key.priority_max, wanted.priority_max);
  EXPECT_EQ(found[0].key.expires, wanted.expires);
  EXPECT_EQ(found[0].created, now_);
}

TEST_F(KeyStoreTest, a_damaged_file_is_reported_and_left_alone) {
  const auto store = open();
  const auto secret = store->create({.name = "app"}).value().secret;
  for (const auto* text : {"{", "[]", "{\"version\":2,\"keys\":[]}", "{\"version\":1,\"keys\":[1]}",
                           "{\"version\":1,\"keys\":[{\"id\":\"a\"}]}", ""}) {
    std::ofstream(folder_.path("keys.json")) << text;
    EXPECT_EQ(KeyStore::open(folder_.path()).error().code, Errc::data_corrupt) << text;
    EXPECT_EQ(store->check(secret).error().error.code, Errc::unavailable) << text;
    EXPECT_FALSE(store->create({.name = "more"})) << text;
    EXPECT_EQ(file("keys.json"), text);
  }
}

TEST_F(KeyStoreTest, refuses_names_and_permissions_that_are_none) {
  const auto store = open();
  for (const auto& name : {std::string(), std::string("a b"), std::string("a\nb"),
                          std::string(65, 'a'), std::string("键")}) {
    EXPECT_EQ(store->create({.name = name}).error().code, Errc::invalid_argument);
  }
  EXPECT_FALSE(store->create({.name = "a", .permissions = {}}));
}

TEST_F(KeyStoreTest, the_setup_token_gives_one_key_with_all_permissions) {
  const auto store = open();
  const auto token = store->renew_setup_token().value().value();
  EXPECT_EQ(file("setup_token"), token + "\n");
  EXPECT_EQ(mode("setup_token"), 0600U);
  EXPECT_EQ(store->setup_token().value().value(), token);
  EXPECT_EQ(store->claim("wrong", "admin").error().code, Errc::permission_denied);
  const auto created = store->claim(token, "admin").value();
  EXPECT_EQ(store->check(created.secret)->key.permissions.size(), 4U);
  EXPECT_EQ(store->claim(token, "admin").error().code, Errc::failed_precondition);
  EXPECT_FALSE(store->setup_token().value());
  EXPECT_FALSE(std::filesystem::exists(folder_.path("setup_token")));
}

TEST_F(KeyStoreTest, a_key_that_makes_no_keys_leaves_setup_open) {
  const auto store = open();
  store->create({.name = "cli"}).value();
  EXPECT_TRUE(store->setup_token().value());
  store->create({.name = "admin", .permissions = {Permission::keys}}).value();
  EXPECT_FALSE(store->setup_token().value());
}

TEST_F(KeyStoreTest, a_setup_token_lives_for_a_day) {
  const auto store = open();
  const auto token = store->setup_token().value().value();
  now_ += kDay + 1;
  EXPECT_EQ(store->claim(token, "admin").error().code, Errc::permission_denied);
  EXPECT_NE(store->setup_token().value().value(), token);
}

TEST_F(KeyStoreTest, an_empty_token_never_works) {
  const auto store = open();
  EXPECT_FALSE(store->claim("", "admin"));
  std::ofstream(folder_.path("setup_token")) << "\n";
  EXPECT_FALSE(store->claim("", "admin"));
}

}  // namespace
}  // namespace hf::api
