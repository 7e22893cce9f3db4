#pragma once
// Client of any OpenAI-compatible address, on libcurl: plain calls and event streams. Used by the
// CLI's chat and bench. Threads: one client per thread.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hf::client {

struct Endpoint {
  std::string address = "https://127.0.0.1:8443";  ///< Without /v1.
  std::string key = {};
  std::string ca_file = {};        ///< PEM; empty: the system's.
  bool verify = true;              ///< false: any certificate (tests only).
  long connect_timeout_s = 10;
};

/// Cuts a byte stream into the `data:` payloads of server-sent events (WHATWG HTML, 9.2).
class EventCutter {
 public:
  using OnData = std::function<void(std::string_view)>;
  explicit EventCutter(OnData on_data) : on_data_(std::move(on_data)) {}
  void feed(std::string_view bytes);

 private:
  void line(std::string_view text);
  OnData on_data_;
  std::string pending_;  // An unfinished line.
  std::string data_;     // Data lines of the current event.
};

struct Answer {
  long status = 0;
  std::string body = {};
};

class Client {
 public:
  explicit Client(Endpoint endpoint);
  ~Client();
  Client(Client&&) noexcept;

  /// Errors: unavailable, no connection (says what to check); the status is the caller's to judge.
  Result<Answer> get(const std::string& path);
  Result<Answer> post(const std::string& path, const std::string& body);
  /// Calls `on_data` for each event until the end or until it returns false (the call is cut then).
  /// A status other than 200 comes back as an Answer with the body.
  /// `stop`, if given, is looked at while nothing arrives: once true the call is cut.
  Result<Answer> stream(const std::string& path, const std::string& body,
                        const std::function<bool(std::string_view)>& on_data,
                        const std::atomic<bool>* stop = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The sentence of an OpenAI error body, or the body itself, shortened.
std::string error_text(const Answer& answer);

}  // namespace hf::client
