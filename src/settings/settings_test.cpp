#include "settings/settings.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace hf::settings {
namespace {

class SettingsFile : public testing::Test {
 protected:
  SettingsFile() { std::filesystem::create_directories(folder_); }
  ~SettingsFile() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& text) { std::ofstream(folder_ + "/holdfast.toml") << text; }
  std::string folder_ = testing::TempDir() + "hf_settings";
};

TEST_F(SettingsFile, missing_gives_defaults) {
  EXPECT_EQ(load(folder_)->server.port, 8443);
  EXPECT_EQ(load(folder_)->models_folder(), folder_ + "/models");
}

TEST_F(SettingsFile, first_file_reads_back_and_is_not_overwritten) {
  ASSERT_TRUE(write_first(folder_, 9000, "smollm2"));
  ASSERT_TRUE(write_first(folder_, 9001, "other"));
  const auto settings = load(folder_);
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->server.port, 9000);
  EXPECT_EQ(settings->models.preload, std::vector<std::string>{"smollm2"});
}

TEST_F(SettingsFile, unknown_setting_is_refused_by_name) {
  write("[server]\nporrt = 1\n");
  const auto settings = load(folder_);
  ASSERT_FALSE(settings);
  EXPECT_NE(settings.error().message.find("porrt"), std::string::npos) << settings.error().message;
}

TEST_F(SettingsFile, setting_that_cannot_take_effect_is_refused) {
  write("[server]\ncertificate = \"a.pem\"\n");
  ASSERT_FALSE(load(folder_));
  write("[server]\nport = 70000\n");
  ASSERT_FALSE(load(folder_));
}

}  // namespace
}  // namespace hf::settings
