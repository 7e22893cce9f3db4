#pragma once
// An error on its way to a caller, and the one place where it becomes status, type and code.

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "api/exchange.hpp"
#include "base/result.hpp"

namespace hf::api {

/// An Error with OpenAI's machine-readable code, where it has one.
struct Fault {
  Error error = {};
  std::string_view code = {};  ///< Static text; empty: the one of the status map.
  // Not explicit, so that HF_TRY passes a Result's error on.
  Fault(Error from) : error(std::move(from)) {}  // NOLINT(google-explicit-constructor)
  Fault(Error from, std::string_view name) : error(std::move(from)), code(name) {}
};

template <class T>
using Checked = std::expected<T, Fault>;

inline std::unexpected<Fault> refuse(std::string param, std::string message,
                                     std::string_view code = {}) {
  return std::unexpected(
      Fault({Errc::invalid_argument, std::move(message), {}, std::move(param)}, code));
}

struct WireFault {
  int status = 500;
  std::string_view type = {};
  std::string_view code = {};  ///< Empty: null.
};

/// The one switch from Errc to HTTP status and OpenAI's error type and code.
WireFault status_of(const Fault& fault);

/// {"error":{"message":..,"type":..,"param":..,"code":..}}
std::string fault_json(const Fault& fault);

/// The whole answer; 429 and 503 carry Retry-After with `retry_seconds`.
HttpResponse fault_response(const Fault& fault, unsigned retry_seconds = 5);

}  // namespace hf::api
