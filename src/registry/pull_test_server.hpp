#pragma once
// A small HTTP/1.1 server on 127.0.0.1 for tests, which misbehaves as told. One connection at a
// time per thread; each answer closes its connection.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.hpp"

namespace hf::registry {

struct TestRequest {
  std::string target;
  std::map<std::string, std::string> headers;  ///< Names in lower case.
};

/// How one path answers.
struct TestPage {
  std::string body = {};
  int status = 200;
  std::string content_type = "application/octet-stream";
  std::string etag = "\"v1\"";
  std::vector<std::string> headers = {};  ///< Further ones.
  bool ranges = true;                     ///< False: Range is ignored.
  std::uint64_t cut_after = 0;            ///< Bytes of body before the connection is cut; 0: never.
  int cuts = 0;                           ///< Answers that are cut; the later ones are whole.
  std::chrono::milliseconds pause_before_body{0};
  std::chrono::milliseconds pause_each_64k{0};
};

class PullTestServer {
 public:
  PullTestServer();
  ~PullTestServer();
  PullTestServer(const PullTestServer&) = delete;
  PullTestServer& operator=(const PullTestServer&) = delete;
  void put(const std::string& path, TestPage page);
  [[nodiscard]] std::string address(const std::string& path) const;
  [[nodiscard]] std::vector<TestRequest> requests() const;
  [[nodiscard]] std::uint64_t body_bytes_sent() const { return sent_; }

 private:
  void accept_loop();
  void serve(int connection);
  void answer(int connection, const TestRequest& request);

  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> sent_{0};
  mutable Mutex mutex_;
  std::map<std::string, TestPage> pages_ HF_GUARDED_BY(mutex_);
  std::vector<TestRequest> requests_ HF_GUARDED_BY(mutex_);
  std::vector<std::jthread> connections_ = {};  // Accept thread only, until it is joined.
  std::jthread acceptor_ = {};
};

}  // namespace hf::registry
