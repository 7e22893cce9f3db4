#include "base/log.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

namespace hf {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// One test: the log starts once a process.
TEST(Log, a_moved_file_is_replaced_and_no_text_forges_a_line) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("hf_log_test_" + std::to_string(::getpid()) + ".log");
  const auto moved = path.string() + ".1";
  ASSERT_TRUE(log::start({.level = log::Level::info, .file = path, .program = "test"}));
  log::info("first {}", "a\nb\x1B[31m");
  EXPECT_TRUE(read(path).ends_with(" info test first a b [31m\n"));
  std::filesystem::rename(path, moved);
  ASSERT_TRUE(log::reopen());
  log::info("second");
  EXPECT_TRUE(read(path).ends_with(" info test second\n"));
  EXPECT_FALSE(read(moved).contains("second"));
  std::filesystem::remove(path);
  std::filesystem::remove(moved);
}

}  // namespace
}  // namespace hf
