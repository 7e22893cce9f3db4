#include "holdfast/chat_session.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <format>
#include <fstream>
#include <nlohmann/json.hpp>

namespace hf::cli {
namespace {

// What one stream of chunks says, printed while it comes.
class AnswerPrinter {
 public:
  bool on_data(std::string_view data) {
    if (data == "[DONE]") return true;
    const auto event = nlohmann::json::parse(data, nullptr, false);
    if (!event.is_object()) return true;
    if (event.contains("error")) {
      error_ = event["error"].value("message", std::string("the server reported an error"));
      return false;
    }
    if (event.contains("usage") && event["usage"].is_object()) {
      tokens_ = event["usage"].value("completion_tokens", 0U);
    }
    for (const auto& choice : event.value("choices", nlohmann::json::array())) {
      const auto delta = choice.value("delta", nlohmann::json::object());
      print(text_of(delta, "reasoning_content"), true);
      print(text_of(delta, "content"), false);
    }
    return true;
  }

  void print_stats() const {
    if (first_ == Time{}) return;
    const auto ttft = std::chrono::duration<double, std::milli>(first_ - start_).count();
    const auto rest = std::chrono::duration<double>(last_ - first_).count();
    std::printf("[%u tokens, first after %.0f ms, %.1f tokens/s]\n", tokens_, ttft,
                rest > 0 && tokens_ > 1 ? (tokens_ - 1) / rest : 0.0);
  }

  std::string text_;
  std::string error_;

 private:
  using Time = std::chrono::steady_clock::time_point;

  static std::string text_of(const nlohmann::json& delta, const char* key) {
    const auto found = delta.find(key);
    return found != delta.end() && found->is_string() ? found->get<std::string>() : std::string();
  }

  void print(const std::string& text, bool thinking) {
    if (text.empty()) return;
    last_ = std::chrono::steady_clock::now();
    if (first_ == Time{}) first_ = last_;
    const bool colour = ::isatty(STDOUT_FILENO) == 1;
    if (thinking && colour) std::fputs("\033[2m", stdout);
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (thinking && colour) std::fputs("\033[0m", stdout);
    std::fflush(stdout);
    if (!thinking) text_ += text;
  }

  Time start_ = std::chrono::steady_clock::now();
  Time first_{};
  Time last_{};
  unsigned tokens_ = 0;
};

}  // namespace

Result<ChatSession> ChatSession::open(client::Endpoint endpoint, ChatOptions options) {
  ChatSession session(std::move(endpoint), std::move(options));
  if (!session.options_.model.empty()) return session;
  const auto listed = HF_TRY(session.client_.get("/v1/models"));
  if (listed.status != 200) return fail(Errc::unavailable, client::error_text(listed));
  const auto models = nlohmann::json::parse(listed.body, nullptr, false);
  if (!models.is_object() || !models.contains("data") || models["data"].empty()) {
    return fail(Errc::not_found, "The server has no model; get one with 'holdfast pull'.");
  }
  session.options_.model = models["data"][0].value("id", std::string());
  return session;
}

std::string ChatSession::messages_json() const {
  auto messages = nlohmann::json::array();
  if (!options_.system.empty()) messages.push_back({{"role", "system"}, {"content", options_.system}});
  for (const auto& [role, text] : turns_) messages.push_back({{"role", role}, {"content", text}});
  return messages.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<void> ChatSession::ask(const std::string& text, const std::atomic<bool>& stop) {
  turns_.emplace_back("user", text);
  nlohmann::json body = {{"model", options_.model},
                         {"stream", true},
                         {"stream_options", {{"include_usage", true}}}};
  body["messages"] = nlohmann::json::parse(messages_json());
  if (options_.temperature >= 0) body["temperature"] = options_.temperature;
  if (options_.max_tokens > 0) body["max_tokens"] = options_.max_tokens;
  AnswerPrinter printer;
  const auto answer = client_.stream(
      "/v1/chat/completions", body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
      [&](std::string_view data) { return !stop && printer.on_data(data); }, &stop);
  if (!printer.text_.empty()) std::puts("");
  const auto failed = [&](std::string message) -> Result<void> {
    turns_.pop_back();
    return fail(Errc::unavailable, std::move(message));
  };
  if (!answer) return failed(answer.error().message);
  if (!stop && answer->status != 200) return failed(client::error_text(*answer));
  if (!printer.error_.empty()) return failed(printer.error_);
  if (stop) std::puts("(stopped)");
  if (options_.stats) printer.print_stats();
  turns_.emplace_back("assistant", printer.text_);
  return {};
}

Result<void> ChatSession::save(const std::string& file) const {
  if (file.empty()) return fail(Errc::invalid_argument, "Name a file: /save FILE");
  std::ofstream out(file);
  out << messages_json() << "\n";
  out.close();
  if (!out) return fail(Errc::invalid_argument, std::format("{} cannot be written.", file));
  return {};
}

}  // namespace hf::cli
