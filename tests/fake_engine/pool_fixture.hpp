#pragma once
// For the tests of inference: a pool over the fake engine, and a count of what the process holds.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "fake_engine/recorder.hpp"
#include "inference/engine_pool.hpp"

namespace hf::inference::test {

using namespace std::chrono_literals;

class ListedModels final : public ModelSource {
 public:
  explicit ListedModels(std::vector<registry::ModelRecord> records)
      : records_(std::move(records)) {}
  [[nodiscard]] Result<std::vector<registry::ModelRecord>> list() const override {
    return records_;
  }

 private:
  std::vector<registry::ModelRecord> records_;
};

inline registry::ModelRecord record(std::string name, std::string kind = "chat",
                                    std::string base = "", std::string path = "/model.gguf") {
  registry::ModelRecord record;
  record.name = std::move(name);
  record.kind = std::move(kind);
  record.base = std::move(base);
  record.path = std::move(path);
  record.bytes = 1000;
  return record;
}

inline EnginePoolOptions quick() {
  EnginePoolOptions options;
  options.engine_program = HF_FAKE_ENGINE;
  options.memory_budget_bytes = std::uint64_t{100} << 30U;
  options.tick = 5ms;
  options.restart_backoff = 1ms;
  options.drain = 10s;
  return options;
}

struct Pool {
  // Declared in the order of their lives.
  Metrics metrics;
  std::unique_ptr<Inference> inference;

  explicit Pool(EnginePoolOptions options,
                std::vector<registry::ModelRecord> records = {record("m")})
      : inference(EnginePool::open(std::move(options),
                                   std::make_shared<ListedModels>(std::move(records)), metrics)
                      .value()) {}
  Inference* operator->() const { return inference.get(); }

  Result<ModelStatus> ready(std::string_view name) const {
    auto promise = std::make_shared<std::promise<Result<ModelStatus>>>();
    inference->when_ready(
        name, [promise](Result<ModelStatus> status) { promise->set_value(std::move(status)); });
    return promise->get_future().get();
  }
  bool reaches(std::string_view name, ModelState state) const {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < until) {
      if (inference->model(name)->state == state) return true;
      std::this_thread::sleep_for(2ms);
    }
    return false;
  }
};

/// A file that is not there at first and is removed at the end.
class MarkFile {
 public:
  MarkFile()
      : path_(std::filesystem::temp_directory_path() /
              ("holdfast-mark-" + std::to_string(::getpid()))) {
    remove();
  }
  ~MarkFile() { remove(); }
  MarkFile(const MarkFile&) = delete;
  MarkFile& operator=(const MarkFile&) = delete;
  void create() const { std::ofstream(path_) << "x"; }
  void remove() const { std::filesystem::remove(path_); }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::size_t entries(const char* folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                                std::filesystem::directory_iterator()));
}

/// Engine processes of this one, zombies included.
inline std::vector<pid_t> children() {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string line;
    if (!std::getline(file, line)) continue;
    const auto after_name = line.rfind(')');
    if (after_name == std::string::npos || after_name + 4 > line.size()) continue;
    if (std::stol(line.substr(after_name + 4)) != ::getpid()) continue;
    found.push_back(static_cast<pid_t>(std::stol(entry.path().filename())));
  }
  return found;
}

}  // namespace hf::inference::test
