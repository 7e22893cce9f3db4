#pragma once
// How every request of this module is set up on a libcurl handle. Private to the module.

#include <curl/curl.h>

#include <memory>
#include <string>

#include "base/result.hpp"
#include "client/endpoint.hpp"

namespace hf::client {

/// A libcurl easy handle with its header list.
class CurlHandle {
 public:
  CurlHandle() : handle_(curl_easy_init()) { HF_ASSERT(handle_ != nullptr); }
  ~CurlHandle() {
    curl_easy_cleanup(handle_);
    curl_slist_free_all(headers_);
  }
  CurlHandle(const CurlHandle&) = delete;
  CurlHandle& operator=(const CurlHandle&) = delete;
  [[nodiscard]] CURL* get() const { return handle_; }
  void set_headers(const Endpoint& endpoint);

 private:
  CURL* handle_;
  curl_slist* headers_ = nullptr;
};

/// Connections stay open for the next request.
void prepare(CurlHandle& handle, const Endpoint& endpoint, const std::string& path);
void prepare_post(CurlHandle& handle, const Endpoint& endpoint, const std::string& path,
                  const std::string& body);
std::unexpected<Error> connection_error(CURLcode code, const Endpoint& endpoint);

}  // namespace hf::client
