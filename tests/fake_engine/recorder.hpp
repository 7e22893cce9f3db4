#pragma once
// A listener that checks every rule of GenerationListener, and what its streams must be. For the
// tests of inference.

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/mutex.hpp"
#include "fake_engine/scripted_text.hpp"
#include "inference/inference.hpp"

namespace hf::inference::test {

using namespace std::chrono_literals;

inline constexpr auto kPatience = 60s;

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

}  // namespace hf::inference::test
