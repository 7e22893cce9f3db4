#pragma once
// Blocking frame channel over a connected Unix socket. One reader thread; any number of writers.

#include <atomic>
#include <string>

#include "base/mutex.hpp"
#include "base/result.hpp"
#include "wire/codec.hpp"

namespace hf::wire {

/// Owns the socket.
class Channel {
 public:
  explicit Channel(int socket) : socket_(socket) {}
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Writes one frame whole. Blocks while the peer does not read.
  /// Errors: unavailable, the peer is gone.
  template <class Message>
  Result<void> send(const Message& message) {
    std::string frame;
    encode(message, frame);
    return send_bytes(frame);
  }
  /// Whole frames, already encoded.
  Result<void> send_bytes(std::string_view frames);

  /// Next message; blocks. Errors: unavailable, the peer is gone; data_corrupt, a bad frame.
  Result<ToEngine> receive_to_engine();
  Result<ToServer> receive_to_server();

  /// Wakes the reader with `unavailable`. Any thread.
  void shut_down();

 private:
  Result<std::string_view> receive_body();

  int socket_;
  FrameReader reader_;
  Mutex write_mutex_;
};

struct SocketPair {
  int parent = -1;
  int child = -1;  ///< Stays open over exec.
};
/// Errors: internal, no descriptors left.
Result<SocketPair> make_socket_pair();

}  // namespace hf::wire
