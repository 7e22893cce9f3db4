#include "registry/model_store.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "registry/gguf_builder.hpp"

namespace hf::registry {
namespace {
namespace fs = std::filesystem;

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("hf-store-" + hex(random_bytes(6)))) {
    fs::create_directories(path_);
  }
  ~Folder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }

 private:
  fs::path path_;
};

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

ModelRecord put(ModelStore& store, const std::string& name, const std::string& bytes) {
  ModelRecord record{.name = name,
                     .digest = sha256_hex(bytes),
                     .bytes = bytes.size(),
                     .licence = "MIT",
                     .source = "test",
                     .added = 5,
                     .kind = "chat",
                     .base = "",
                     .path = ""};
  write(store.blob_path(record.digest), bytes);
  EXPECT_TRUE(store.add(record));
  return record;
}

TEST(ModelStore, gives_back_what_was_added) {
  const Folder folder;
  auto store = ModelStore::open(folder / "models").value();
  put(store, "b-model", "content");
  const auto found = store.find("b-model");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->digest, sha256_hex("content"));
  EXPECT_EQ(found->added, 5);
  EXPECT_EQ(found->path, store.blob_path(found->digest));
  put(store, "a-model", "other");
  const auto all = ModelStore::open(folder / "models")->list();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(all->front().name, "a-model");
}

TEST(ModelStore, keeps_a_file_while_any_name_uses_it) {
  const Folder folder;
  auto store = ModelStore::open(folder / "models").value();
  const auto record = put(store, "one", "same");
  put(store, "two", "same");
  ASSERT_TRUE(store.remove("one"));
  EXPECT_TRUE(fs::exists(store.blob_path(record.digest)));
  EXPECT_TRUE(store.find("two"));
  ASSERT_TRUE(store.remove("two"));
  EXPECT_FALSE(fs::exists(store.blob_path(record.digest)));
  EXPECT_EQ(store.remove("two").error().code, Errc::not_found);
}

TEST(ModelStore, refuses_bad_names_and_other_digests) {
  const Folder folder;
  auto store = ModelStore::open(folder / "models").value();
  auto record = put(store, "one", "same");
  for (const std::string name : {"", "../x", "A", "-x", ".x", "a/b", "ä"}) {
    record.name = name;
    EXPECT_EQ(store.add(record).error().code, Errc::invalid_argument) << name;
    EXPECT_EQ(store.find(name).error().code, Errc::not_found) << name;
    EXPECT_EQ(store.remove(name).error().code, Errc::not_found) << name;
  }
  record = {.name = "one", .digest = sha256_hex("changed"), .bytes = 7};
  write(store.blob_path(record.digest), "changed");
  EXPECT_EQ(store.add(record).error().code, Errc::already_exists);
  EXPECT_NE(store.find("nope").error().message.find("one"), std::string::npos);
}

TEST(ModelStore, lists_the_rest_when_one_entry_is_damaged) {
  const Folder folder;
  auto store = ModelStore::open(folder / "models").value();
  put(store, "good", "x");
  const auto lost = put(store, "lost", "y");
  write(folder / "models/manifests/bad.json", "{\"name\":");
  fs::remove(store.blob_path(lost.digest));
  EXPECT_EQ(store.list()->size(), 1u);
  EXPECT_EQ(store.find("bad").error().code, Errc::data_corrupt);
  EXPECT_EQ(store.find("lost").error().code, Errc::data_corrupt);
  EXPECT_TRUE(store.remove("lost"));
  EXPECT_TRUE(store.remove("bad"));
}

TEST(ModelStore, imports_a_file_and_refuses_what_is_none) {
  const Folder folder;
  auto store = ModelStore::open(folder / "models").value();
  const auto file = small_model().build();
  write(folder / "My Tiny.Q4_K_M.gguf", file);
  const auto imported = store.import_file(folder / "My Tiny.Q4_K_M.gguf", "", "");
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->name, "my-tiny.q4_k_m");
  EXPECT_EQ(imported->digest, sha256_hex(file));
  EXPECT_EQ(imported->licence, "apache-2.0");
  EXPECT_EQ(imported->kind, "chat");
  ASSERT_TRUE(store.import_file(folder / "My Tiny.Q4_K_M.gguf", "", "")) << "again is harmless";
  EXPECT_TRUE(store.import_file(folder / "My Tiny.Q4_K_M.gguf", "second-name", "MIT"));
  EXPECT_TRUE(fs::exists(folder / "My Tiny.Q4_K_M.gguf"));
  write(folder / "text.gguf", "no model");
  EXPECT_EQ(store.import_file(folder / "text.gguf", "", "").error().code, Errc::data_corrupt);
  EXPECT_EQ(store.import_file(folder / "none.gguf", "", "").error().code, Errc::not_found);
  for (const auto& entry : fs::directory_iterator(store.blobs_folder())) {
    EXPECT_EQ(entry.path().string().find(".partial"), std::string::npos) << entry.path();
  }
}

TEST(ModelStore, clears_away_what_crashes_left) {
  const Folder folder;
  auto store = ModelStore::open(folder / "models").value();
  const auto kept = put(store, "kept", "x");
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(24 * 20);
  const auto fresh = store.blobs_folder() + "/url-2.partial";
  for (const auto& path :
       {store.blobs_folder() + "/url-1.partial", fresh, store.blob_path(sha256_hex("z")),
        folder / "models/manifests/.a.json.7.tmp", store.blob_path(kept.digest)}) {
    write(path, "x");
    if (path != fresh) fs::last_write_time(path, old);
  }
  EXPECT_EQ(store.collect_garbage(), 3u);
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_TRUE(store.find("kept"));
}

// Processes that add and remove are killed at random moments; what is listed must be whole.
TEST(ModelStore, stays_usable_whenever_a_writer_dies) {
  const Folder folder;
  auto store = ModelStore::open(folder / "models").value();
  for (int round = 0; round < 40; ++round) {
    const auto child = ::fork();
    if (child == 0) {
      for (int i = 0;; ++i) {
        const auto bytes = std::to_string(i);
        const ModelRecord record{.name = "m" + std::to_string(i % 5),
                                 .digest = sha256_hex(bytes),
                                 .bytes = bytes.size()};
        const auto partial = store.blobs_folder() + "/p.partial";
        write(partial, bytes);
        static_cast<void>(store.remove(record.name));
        static_cast<void>(store.adopt(partial, record));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(3 + round % 7));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (int i = 0; i < 5; ++i) {
      const auto found = store.find("m" + std::to_string(i));
      if (!found) {
        ASSERT_EQ(found.error().code, Errc::not_found) << found.error().message;
        continue;
      }
      std::ifstream file(found->path);
      const std::string bytes((std::istreambuf_iterator<char>(file)),
                              std::istreambuf_iterator<char>());
      ASSERT_EQ(sha256_hex(bytes), found->digest);
    }
    ASSERT_TRUE(store.collect_garbage());
  }
}

}  // namespace
}  // namespace hf::registry
