#pragma once
// For the tests of this module: a pool over the fake engine, a listener that checks every rule of
// GenerationListener, and a count of what the process holds.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.hpp"
#include "fake_engine/scripted_text.hpp"
#include "inference/engine_pool.hpp"

namespace hf::inference::test {

using namespace std::chrono_literals;

inline constexpr auto kPatience = 60s;

class ListedModels final : public ModelSource {
 public:
  explicit ListedModels(std::vector<registry::ModelRecord> records) : records_(std::move(records)) {}
  [[nodiscard]] Result<std::vector<registry::ModelRecord>> list() const override { return records_; }

 private:
  std::vector<registry::ModelRecord> records_;
};

inline registry::ModelRecord record(std::string name, std::string kind = "chat", std::string base = "",
                                    std::string path = "/model.gguf") {
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

  explicit Pool(EnginePoolOptions options, std::vector<registry::ModelRecord> records = {record("m")})
      : inference(EnginePool::open(std::move(options),
                                   std::make_shared<ListedModels>(std::move(records)), metrics)
                      .value()) {}
  Inference* operator->() const { return inference.get(); }

  Result<ModelStatus> ready(std::string_view name) const {
    auto promise = std::make_shared<std::promise<Result<ModelStatus>>>();
    inference->when_ready(name, [promise](Result<ModelStatus> status) {
      promise->set_value(std::move(status));
    });
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

/// Keeps what it was told and every break of the rules.
class Recorder final : public GenerationListener {
 public:
  struct Choice {
    std::vector<wire::Token> tokens;
    std::string text;
    int done = 0;
  };

  void on_started(const wire::Started& event) override {
    note([&] {
      if (++started_ != 1) break_rule("Started came twice");
      prompt_ = event.tokens;
    });
  }
  void on_delta(const wire::Delta& event) override {
    note([&] {
      if (started_ == 0) break_rule("a Delta came before Started");
      auto& choice = choices_[event.choice];
      if (choice.done > 0) break_rule("a Delta came after ChoiceDone");
      choice.tokens.insert(choice.tokens.end(), event.tokens.begin(), event.tokens.end());
      choice.text += event.text;
    });
  }
  void on_choice_done(const wire::ChoiceDone& event) override {
    note([&] {
      auto& choice = choices_[event.choice];
      if (++choice.done != 1) break_rule("ChoiceDone came twice");
      if (event.completion_tokens != choice.tokens.size()) break_rule("wrong tokens of a choice");
    });
  }
  void on_done(const wire::Done& event) override {
    note([&] {
      done_ = event;
      end();
    });
  }
  void on_failed(const Error& error) override {
    note([&] {
      error_ = error;
      end();
    });
  }

  /// False: it has not ended in time.
  bool wait() {
    Lock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (ends_ == 0) {
      if (changed_.wait_until(lock, until) == std::cv_status::timeout) return false;
    }
    return true;
  }
  bool wait_tokens(std::size_t count) {
    Lock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (choices_[0].tokens.size() < count && ends_ == 0) {
      if (changed_.wait_until(lock, until) == std::cv_status::timeout) return false;
    }
    return true;
  }

  struct Record {
    std::map<std::uint32_t, Choice> choices;
    std::vector<wire::Token> prompt;
    wire::Done done;
    Error error;
    int ends = 0;
    int calls = 0;
    std::string broken;
  };
  [[nodiscard]] Record record() const {
    const Lock lock(mutex_);
    return {choices_, prompt_, done_, error_, ends_, calls_, broken_};
  }

 private:
  void note(const std::function<void()>& change) {
    const Lock lock(mutex_);
    ++calls_;
    if (ends_ > 0) break_rule("a call came after the last");
    change();
    changed_.notify_all();
  }
  void end() { ++ends_; }
  void break_rule(const std::string& what) { broken_ += what + "; "; }

  mutable Mutex mutex_;
  Condition changed_;
  std::map<std::uint32_t, Choice> choices_;
  std::vector<wire::Token> prompt_;
  wire::Done done_;
  Error error_;
  int started_ = 0;
  int ends_ = 0;
  int calls_ = 0;
  std::string broken_;
};

inline wire::Generate ask(std::string prompt, std::uint32_t tokens = 0, std::uint32_t choices = 1) {
  wire::Generate request;
  request.prompt.kind = wire::PromptKind::text;
  request.prompt.text = std::move(prompt);
  request.max_tokens = tokens;
  request.choices = choices;
  return request;
}

/// The stream must be what the fake engine says to this request, whatever happened on the way.
inline void expect_exact(const Recorder& recorder, const wire::Generate& request,
                         std::string_view adapter = "") {
  const auto got = recorder.record();
  ASSERT_EQ(got.broken, "");
  ASSERT_EQ(got.ends, 1);
  ASSERT_EQ(got.error.message, "") << got.error.detail;
  const auto prompt = fake::tokens_of(request.prompt.text);
  EXPECT_EQ(got.prompt, prompt);
  const auto wanted = request.max_tokens == 0 ? fake::kDefaultTokens : request.max_tokens;
  std::uint32_t total = 0;
  ASSERT_EQ(got.choices.size(), request.choices);
  for (std::uint32_t c = 0; c < request.choices; ++c) {
    std::vector<wire::Token> expected;
    const auto length = wanted - std::min(wanted - 1, c * 5);
    for (std::uint32_t i = 0; i < length; ++i) {
      expected.push_back(fake::token_at(prompt, adapter, c, i));
    }
    total += length;
    EXPECT_EQ(got.choices.at(c).tokens, expected);
    EXPECT_EQ(got.choices.at(c).text, fake::text_after(expected, true));
    EXPECT_EQ(got.choices.at(c).done, 1);
  }
  EXPECT_EQ(got.done.completion_tokens, total);
  EXPECT_EQ(got.done.prompt_tokens, prompt.size());
  EXPECT_EQ(got.done.cached_tokens, fake::kFirstCachedTokens);
}

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
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
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
