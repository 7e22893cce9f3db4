#include "client/curl_setup.hpp"

#include <format>

namespace hf::client {

void CurlHandle::set_headers(const Endpoint& endpoint) {
  curl_slist_free_all(headers_);
  headers_ = curl_slist_append(nullptr, "Content-Type: application/json");
  headers_ = curl_slist_append(headers_, "Expect:");
  if (!endpoint.key.empty()) {
    headers_ = curl_slist_append(headers_, ("Authorization: Bearer " + endpoint.key).c_str());
  }
  curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers_);
}

void prepare(CurlHandle& handle, const Endpoint& endpoint, const std::string& path) {
  auto* curl = handle.get();
  curl_easy_reset(curl);
  handle.set_headers(endpoint);
  curl_easy_setopt(curl, CURLOPT_URL, (endpoint.address + path).c_str());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, endpoint.connect_timeout_s);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "holdfast");
  // A local address never goes through a proxy that the environment names.
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
  if (!endpoint.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, endpoint.ca_file.c_str());
  if (!endpoint.verify) {
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

void prepare_post(CurlHandle& handle, const Endpoint& endpoint, const std::string& path,
                  const std::string& body) {
  prepare(handle, endpoint, path);
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle.get(), CURLOPT_COPYPOSTFIELDS, body.c_str());
}

std::unexpected<Error> connection_error(CURLcode code, const Endpoint& endpoint) {
  const std::string_view native = curl_easy_strerror(code);
  if (code == CURLE_COULDNT_CONNECT) {
    return fail(Errc::unavailable,
                std::format("Nothing answers at {}; is the server running ('holdfast serve') and "
                            "is the address right?",
                            endpoint.address));
  }
  if (code == CURLE_COULDNT_RESOLVE_HOST) {
    return fail(Errc::unavailable, std::format("The name in {} is not known.", endpoint.address));
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
    return fail(Errc::unavailable,
                std::format("The certificate of {} is not trusted; give the private CA with --ca "
                            "('holdfast ca show' prints its file).",
                            endpoint.address));
  }
  return fail(Errc::unavailable,
              std::format("The connection to {} broke: {}.", endpoint.address, native));
}

}  // namespace hf::client
