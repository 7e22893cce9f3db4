#include "inference/load_estimate.hpp"

#include <gtest/gtest.h>

namespace hf::inference {
namespace {

TEST(LoadEstimate, takes_the_callers_word_but_never_nothing) {
  EnginePoolOptions options;
  options.estimate = [](const registry::ModelRecord& record) { return record.bytes; };
  registry::ModelRecord record;
  record.bytes = 7;
  EXPECT_EQ(load_estimate_bytes(options, record), 7U);
  record.bytes = 0;
  EXPECT_EQ(load_estimate_bytes(options, record), 1U);
}

TEST(LoadEstimate, goes_by_the_size_of_a_file_it_cannot_read) {
  registry::ModelRecord record;
  record.path = "/nowhere/model.gguf";
  record.bytes = 1000;
  EXPECT_EQ(load_estimate_bytes({}, record), 1200U + (std::uint64_t{256} << 20U));
}

}  // namespace
}  // namespace hf::inference
