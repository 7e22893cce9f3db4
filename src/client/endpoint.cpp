#include "client/endpoint.hpp"

#include <curl/curl.h>

#include <format>
#include <nlohmann/json.hpp>

#include "client/curl_setup.hpp"

namespace hf::client {

void EventCutter::feed(std::string_view bytes) {
  for (;;) {
    const auto end = bytes.find('\n');
    if (end == std::string_view::npos) {
      pending_.append(bytes);
      return;
    }
    pending_.append(bytes.substr(0, end));
    if (pending_.ends_with('\r')) pending_.pop_back();
    line(pending_);
    pending_.clear();
    bytes.remove_prefix(end + 1);
  }
}

void EventCutter::line(std::string_view text) {
  if (text.empty()) {
    if (!data_.empty()) on_data_(data_);
    data_.clear();
    return;
  }
  if (!text.starts_with("data:")) return;
  text.remove_prefix(5);
  if (text.starts_with(' ')) text.remove_prefix(1);
  if (!data_.empty()) data_.push_back('\n');
  data_.append(text);
}

struct Client::State {
  Endpoint endpoint;
  CurlHandle handle;
  explicit State(Endpoint where) : endpoint(std::move(where)) {}
};

Client::Client(Endpoint endpoint) : state_(std::make_unique<State>(std::move(endpoint))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

namespace {

struct Receiving {
  CURL* handle = nullptr;
  std::string body = {};
  EventCutter* cutter = nullptr;
  const bool* stopped = nullptr;
};

std::size_t on_bytes(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& receiving = *static_cast<Receiving*>(user);
  long status = 0;
  curl_easy_getinfo(receiving.handle, CURLINFO_RESPONSE_CODE, &status);
  const std::string_view text(bytes, size * count);
  if (receiving.cutter != nullptr && status == 200) {
    receiving.cutter->feed(text);
    return *receiving.stopped ? 0 : text.size();
  }
  receiving.body.append(text);
  return text.size();
}

int on_progress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(stop)->load() ? 1 : 0;
}

Result<Answer> perform(CURL* handle, Receiving& receiving, const Endpoint& endpoint) {
  receiving.handle = handle;
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &receiving);
  const auto code = curl_easy_perform(handle);
  Answer answer;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer.status);
  answer.body = std::move(receiving.body);
  const bool cut_by_us = code == CURLE_ABORTED_BY_CALLBACK ||
                         (code == CURLE_WRITE_ERROR && receiving.stopped != nullptr && *receiving.stopped);
  if (code != CURLE_OK && !cut_by_us) return connection_error(code, endpoint);
  return answer;
}

}  // namespace

Result<Answer> Client::get(const std::string& path) {
  prepare(state_->handle, state_->endpoint, path);
  curl_easy_setopt(state_->handle.get(), CURLOPT_HTTPGET, 1L);
  Receiving receiving;
  return perform(state_->handle.get(), receiving, state_->endpoint);
}

Result<Answer> Client::post(const std::string& path, const std::string& body) {
  prepare_post(state_->handle, state_->endpoint, path, body);
  Receiving receiving;
  return perform(state_->handle.get(), receiving, state_->endpoint);
}

Result<Answer> Client::stream(const std::string& path, const std::string& body,
                              const std::function<bool(std::string_view)>& on_data,
                              const std::atomic<bool>* stop) {
  prepare_post(state_->handle, state_->endpoint, path, body);
  if (stop != nullptr) {
    auto* curl = state_->handle.get();
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, stop);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  }
  bool stopped = false;
  EventCutter cutter([&](std::string_view data) {
    if (!stopped && !on_data(data)) stopped = true;
  });
  Receiving receiving{.cutter = &cutter, .stopped = &stopped};
  return perform(state_->handle.get(), receiving, state_->endpoint);
}

std::string error_text(const Answer& answer) {
  const auto parsed = nlohmann::json::parse(answer.body, nullptr, false);
  if (parsed.is_object() && parsed.contains("error")) {
    const auto& error = parsed["error"];
    if (error.is_object() && error.contains("message") && error["message"].is_string()) {
      return std::format("{} (status {})", error["message"].get<std::string>(), answer.status);
    }
  }
  return std::format("status {}: {}", answer.status, answer.body.substr(0, 300));
}

}  // namespace hf::client
