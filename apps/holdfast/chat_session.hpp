#pragma once
// One conversation with a model over the API, printed as it streams. Threads: one.

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "client/endpoint.hpp"

namespace hf::cli {

struct ChatOptions {
  std::string model = {};  ///< Empty: the first that the server lists.
  std::string system = {};
  double temperature = -1;       ///< Negative: the server's default.
  std::uint32_t max_tokens = 0;  ///< 0: the server's default.
  bool stats = false;
};

class ChatSession {
 public:
  /// Errors: from the connection; not_found, the server has no model.
  static Result<ChatSession> open(client::Endpoint endpoint, ChatOptions options);

  /// Prints the answer to standard output and keeps it. `stop` set from outside cuts the answer;
  /// what came so far is kept.
  Result<void> ask(const std::string& text, const std::atomic<bool>& stop);
  /// Writes the messages as JSON. Errors: invalid_argument, the file cannot be written.
  [[nodiscard]] Result<void> save(const std::string& file) const;
  void clear() { turns_.clear(); }
  void set_model(std::string model) { options_.model = std::move(model); }
  void set_system(std::string text) { options_.system = std::move(text); }
  [[nodiscard]] const std::string& model() const { return options_.model; }

 private:
  ChatSession(client::Endpoint endpoint, ChatOptions options)
      : client_(std::move(endpoint)), options_(std::move(options)) {}
  [[nodiscard]] std::string messages_json() const;

  client::Client client_;
  ChatOptions options_;
  std::vector<std::pair<std::string, std::string>> turns_;  // Role and text.
};

}  // namespace hf::cli
