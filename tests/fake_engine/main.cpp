// A real engine process without a model: speaks the wire protocol, says what scripted_text.hpp
// says, and fails on request. Prompts containing "!abort", "!kill", "!exit", "!hang", "!deaf",
// "!badframe" or "!late" do that when they start ("!late" aborts after 5 tokens); "!slow" takes
// 20 ms a token, "!huge" sends 100 kB of text with each token.
// Arguments: --load-ms N, --load-stall, --load-fail TEXT, --load-exit N, --load-abort-while FILE,
// --kill-after N (tokens), --delay-us N (per step), --abort-always, --resident BYTES.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <iostream>
#include <list>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <signal.h>
#include <unistd.h>

#include "base/mutex.hpp"
#include "script.hpp"
#include "scripted_text.hpp"
#include "wire/channel.hpp"

namespace {

using namespace std::chrono_literals;
using hf::fake::Script;
namespace wire = hf::wire;

struct Choice {
  std::vector<wire::Token> tokens;
  std::size_t text_sent = 0;
  bool finished = false;
};

struct Running {
  wire::Generate request;
  std::vector<wire::Token> prompt;
  std::vector<Choice> choices;
  std::uint32_t made = 0;

  [[nodiscard]] bool asks(std::string_view what) const {
    return request.prompt.text.contains(what);
  }
};

class FakeEngine {
 public:
  FakeEngine(int socket, Script script) : channel_(socket), script_(std::move(script)) {}

  int run() {
    load();
    std::thread reader([this] { read(); });
    serve();
    channel_.shut_down();
    reader.join();
    return 0;
  }

 private:
  void load() {
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(script_.number("load-ms", 0));
    send(wire::LoadProgress{.fraction = 0, .stage = "weights"});
    while (script_.has("load-stall")) std::this_thread::sleep_for(1s);
    while (std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(10ms);
      send(wire::LoadProgress{.fraction = 0.5F, .stage = "weights"});
    }
    const auto file = script_.text("load-abort-while");
    if (!file.empty() && std::filesystem::exists(file)) {
      std::cerr << "cannot map the weights" << std::endl;
      std::abort();
    }
    if (script_.has("load-exit")) std::_Exit(static_cast<int>(script_.number("load-exit", 1)));
    if (script_.has("load-fail")) {
      send(wire::LoadFailed{hf::Errc::data_corrupt, script_.text("load-fail")});
      std::_Exit(1);
    }
    wire::Ready ready;
    ready.description = "fake";
    ready.request_tokens_max = 1 << 20;
    ready.generates = 1;
    ready.load_seconds = 0.01;
    send(ready);
  }

  void send(const wire::ToServer& message) {
    // A lost server is seen by the reader.
    [[maybe_unused]] const auto sent = channel_.send(message);
  }

  void read() {
    for (;;) {
      auto message = channel_.receive_to_engine();
      if (!message) std::_Exit(0);
      wait_while_deaf();
      if (const auto* ping = std::get_if<wire::Ping>(&*message)) {
        send(wire::Ack{ping->id});
        continue;
      }
      const hf::Lock lock(mutex_);
      inbox_.push_back(std::move(*message));
      if (std::holds_alternative<wire::Shutdown>(inbox_.back())) ended_ = true;
      wake_.notify_all();
      if (ended_) return;
    }
  }

  void wait_while_deaf() {
    hf::Lock lock(mutex_);
    while (deaf_) wake_.wait(lock);
  }

  void serve() {
    const std::chrono::microseconds delay(script_.number("delay-us", 0));
    auto next_stats = std::chrono::steady_clock::now();
    auto stop_at = std::chrono::steady_clock::time_point::max();
    for (;;) {
      for (auto& message : take_inbox()) {
        if (const auto* shutdown = std::get_if<wire::Shutdown>(&message)) {
          stop_at =
              std::chrono::steady_clock::now() + std::chrono::milliseconds(shutdown->drain_ms);
        } else {
          std::visit([this](auto& event) { handle(event); }, message);
        }
      }
      const auto now = std::chrono::steady_clock::now();
      if (now >= stop_at || (running_.empty() && stop_at != decltype(stop_at)::max())) return;
      if (now >= next_stats) {
        next_stats = now + 50ms;
        send_stats();
      }
      step();
      if (delay > 0us) std::this_thread::sleep_for(delay);
    }
  }

  std::deque<wire::ToEngine> take_inbox() {
    hf::Lock lock(mutex_);
    if (inbox_.empty() && running_.empty() && !ended_) wake_.wait_for(lock, 20ms);
    return std::exchange(inbox_, {});
  }

  void send_stats() {
    wire::Stats stats;
    stats.running = static_cast<std::uint32_t>(running_.size());
    stats.steps = steps_;
    stats.generated_tokens = made_;
    stats.cells_total = 1000;
    stats.resident_bytes = script_.number("resident", 0);
    send(stats);
  }

  void handle(wire::Generate& request) {
    Running running{.request = std::move(request), .prompt = {}, .choices = {}};
    const auto& prompt = running.request.prompt;
    running.prompt =
        prompt.kind == wire::PromptKind::tokens ? prompt.tokens : hf::fake::tokens_of(prompt.text);
    misbehave(running);
    const auto& adapter = running.request.adapter;
    if (!adapter.empty() && !adapters_.contains(adapter)) {
      send(wire::Failed{running.request.id, hf::Errc::failed_precondition, "No such adapter.", ""});
      return;
    }
    if (!resume(running)) {
      send(wire::Failed{running.request.id, hf::Errc::internal, "Resumed tokens differ.", ""});
      return;
    }
    const bool resumed = !running.request.resume.empty();
    send(wire::Started{.id = running.request.id,
                       .prompt_tokens = static_cast<std::uint32_t>(running.prompt.size()),
                       .cached_tokens = resumed ? 999 : hf::fake::kFirstCachedTokens,
                       .tokens = running.prompt});
    running_.push_back(std::move(running));
  }

  void misbehave(const Running& running) {
    if (script_.has("abort-always") || running.asks("!abort")) {
      std::cerr << "assertion failed: scripted" << std::endl;
      std::abort();
    }
    if (running.asks("!kill")) ::raise(SIGKILL);
    if (running.asks("!exit")) std::_Exit(3);
    if (running.asks("!badframe")) {
      [[maybe_unused]] const auto sent =
          channel_.send_bytes(std::string("\x02\x00\x00\x00\xEEx", 6));
    }
    if (running.asks("!hang")) ::raise(SIGSTOP);
    if (running.asks("!deaf") && running.request.resume.empty()) {
      // Goes on computing and reporting, but reads nothing any more. Not again when resumed.
      const hf::Lock lock(mutex_);
      deaf_ = true;
    }
  }

  static bool resume(Running& running) {
    const auto& request = running.request;
    running.choices.resize(request.choices);
    if (request.resume.empty()) return true;
    if (request.resume.size() != request.choices || request.resume_prompt != running.prompt)
      return false;
    for (std::uint32_t c = 0; c < request.choices; ++c) {
      auto& choice = running.choices[c];
      choice.tokens = request.resume[c];
      choice.finished = request.resume_finished[c] != 0;
      choice.text_sent = request.resume_text_bytes[c];
      for (std::uint32_t i = 0; i < choice.tokens.size(); ++i) {
        if (choice.tokens[i] != hf::fake::token_at(running.prompt, request.adapter, c, i))
          return false;
      }
    }
    return true;
  }

  void step() {
    for (auto at = running_.begin(); at != running_.end();) {
      at = advance(*at) ? running_.erase(at) : std::next(at);
    }
    if (!running_.empty()) ++steps_;
  }

  /// One token for each open choice; true when the request is over.
  bool advance(Running& running) {
    const auto& request = running.request;
    const auto wanted = request.max_tokens == 0 ? hf::fake::kDefaultTokens : request.max_tokens;
    if (running.asks("!slow")) std::this_thread::sleep_for(20ms);
    if (running.asks("!late") && running.made >= 5) std::abort();
    for (std::uint32_t c = 0; c < request.choices; ++c) {
      auto& choice = running.choices[c];
      if (choice.finished) continue;
      // Choices differ in length, so that some are finished when the engine dies.
      const auto length = wanted - std::min(wanted - 1, c * 5);
      if (choice.tokens.size() < length) make_token(running, c);
      const bool ends = choice.tokens.size() >= length;
      send_delta(running, c, ends);
      if (ends) finish(running, c);
    }
    ++running.made;
    if (!std::ranges::all_of(running.choices, &Choice::finished)) return false;
    wire::Done done{.id = request.id,
                    .prompt_tokens = static_cast<std::uint32_t>(running.prompt.size())};
    done.cached_tokens = request.resume.empty() ? hf::fake::kFirstCachedTokens : 999;
    for (const auto& choice : running.choices) {
      done.completion_tokens += static_cast<std::uint32_t>(choice.tokens.size());
    }
    send(done);
    return true;
  }

  void make_token(Running& running, std::uint32_t c) {
    auto& choice = running.choices[c];
    const auto index = static_cast<std::uint32_t>(choice.tokens.size());
    choice.tokens.push_back(hf::fake::token_at(running.prompt, running.request.adapter, c, index));
    ++made_;
    fresh_ = choice.tokens.back();
    if (script_.has("kill-after") && made_ >= script_.number("kill-after", 0)) ::raise(SIGKILL);
  }

  void send_delta(Running& running, std::uint32_t c, bool ends) {
    auto& choice = running.choices[c];
    const auto text = hf::fake::text_after(choice.tokens, ends);
    wire::Delta delta{.id = running.request.id, .choice = c};
    if (fresh_) delta.tokens.push_back(*std::exchange(fresh_, std::nullopt));
    if (choice.text_sent < text.size()) delta.text = text.substr(choice.text_sent);
    choice.text_sent = std::max(choice.text_sent, text.size());
    if (delta.tokens.empty() && delta.text.empty()) return;
    if (running.asks("!huge")) delta.text.append(100'000, 'x');
    send(delta);
  }

  void finish(Running& running, std::uint32_t c) {
    auto& choice = running.choices[c];
    choice.finished = true;
    send(wire::ChoiceDone{.id = running.request.id,
                          .choice = c,
                          .reason = wire::FinishReason::length,
                          .stop_string = "",
                          .completion_tokens = static_cast<std::uint32_t>(choice.tokens.size())});
  }

  void handle(wire::Cancel& cancel) {
    const auto found = std::ranges::find_if(
        running_, [&](const Running& running) { return running.request.id == cancel.id; });
    if (found == running_.end()) return;
    running_.erase(found);
    send(wire::Done{.id = cancel.id});
  }

  void handle(wire::Embed& request) {
    wire::Embeddings answer{.id = request.id, .width = 1};
    for (const auto& text : request.texts) {
      if (text.contains("!slow")) std::this_thread::sleep_for(100ms);
      answer.values.push_back(static_cast<float>(text.size()));
    }
    send(answer);
  }
  void handle(wire::Rerank& request) {
    wire::Scores answer{.id = request.id};
    for (const auto& text : request.documents)
      answer.values.push_back(static_cast<float>(text.size()));
    send(answer);
  }
  void handle(wire::Tokenize& request) {
    wire::Tokens answer{.id = request.id};
    answer.tokens = hf::fake::tokens_of(request.prompt.text);
    send(answer);
  }
  void handle(wire::Detokenize& request) {
    wire::Tokens answer{.id = request.id};
    answer.text.assign(request.tokens.begin(), request.tokens.end());
    send(answer);
  }
  void handle(wire::LoadAdapter& request) {
    if (request.path.contains("broken")) {
      send(wire::Failed{request.id, hf::Errc::data_corrupt, "The adapter is broken.", ""});
      return;
    }
    adapters_.insert(request.name);
    send(wire::Ack{request.id});
  }
  void handle(wire::UnloadAdapter& request) {
    adapters_.erase(request.name);
    send(wire::Ack{request.id});
  }
  void handle(wire::Ping&) {}
  void handle(wire::Shutdown&) {}

  wire::Channel channel_;
  const Script script_;
  std::list<Running> running_;
  std::set<std::string> adapters_;
  std::optional<wire::Token> fresh_;
  std::uint64_t steps_ = 0;
  std::uint64_t made_ = 0;
  hf::Mutex mutex_;
  hf::Condition wake_;
  std::deque<wire::ToEngine> inbox_ HF_GUARDED_BY(mutex_);
  bool ended_ HF_GUARDED_BY(mutex_) = false;
  bool deaf_ HF_GUARDED_BY(mutex_) = false;
};

}  // namespace

int main(int count, char** words) {
  const auto script = Script::parse(count, words);
  if (!script.has("socket-fd") || !script.has("model")) {
    std::cerr << "usage: fake_engine --socket-fd N --model PATH [...]\n";
    return 2;
  }
  FakeEngine engine(static_cast<int>(script.number("socket-fd", 3)), script);
  return engine.run();
}
