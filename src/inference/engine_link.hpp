#pragma once
// The server's end of an engine's socket: sends never block, one reader receives.

#include <cstddef>
#include <deque>
#include <string>

#include "base/mutex.hpp"
#include "base/result.hpp"
#include "wire/codec.hpp"

namespace hf::inference {

/// Owns the socket.
class EngineLink {
 public:
  explicit EngineLink(int socket);
  ~EngineLink();
  EngineLink(const EngineLink&) = delete;
  EngineLink& operator=(const EngineLink&) = delete;

  /// Frames leave in the order of the calls. What the socket does not take now waits for flush().
  /// A lost peer is not told here: the reader sees it. Threads: any.
  void send(const wire::ToEngine& message);
  void send_bytes(std::string frames);
  /// Sends what waits, as far as the socket takes it. Threads: any.
  void flush();
  [[nodiscard]] bool has_waiting() const;
  [[nodiscard]] int fd() const { return socket_; }

  /// Next message; blocks. Threads: the reader.
  /// Errors: unavailable, the peer is gone; data_corrupt, a bad frame.
  Result<wire::ToServer> receive();
  /// Wakes the reader. Threads: any.
  void shut_down() const;

 private:
  void flush_locked() HF_REQUIRES(mutex_);

  const int socket_;
  wire::FrameReader reader_;
  std::string chunk_;
  mutable Mutex mutex_;
  std::deque<std::string> waiting_ HF_GUARDED_BY(mutex_);
  std::size_t sent_of_front_ HF_GUARDED_BY(mutex_) = 0;
};

}  // namespace hf::inference
