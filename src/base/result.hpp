#pragma once
// The one error vocabulary: values, not exceptions. Used by every module, on any thread.

#include <cstdio>
#include <cstdlib>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace hf {

/// What the caller should do next decides the code; a module adds sentences, not codes.
enum class Errc : unsigned char {
  invalid_argument = 1,  ///< The request is wrong; change it.
  unauthenticated,       ///< No or bad credentials.
  permission_denied,     ///< Known caller, not allowed.
  not_found,             ///< No such thing.
  already_exists,        ///< The name is taken.
  failed_precondition,   ///< Right request, wrong state; change the state first.
  resource_exhausted,    ///< Busy or over a limit; retry later.
  cancelled,             ///< The caller left or asked to stop.
  deadline_exceeded,     ///< Time ran out.
  unavailable,           ///< The part that serves it is down; retry.
  data_corrupt,          ///< Stored or received bytes are not what they should be.
  unimplemented,         ///< Known to the protocol, not offered here.
  internal,              ///< Our bug.
};

/// The code's name as it appears in logs, e.g. "invalid_argument".
std::string_view to_string(Errc code);

/// `message` is one sentence that is safe for the caller and says what to do; `detail` (paths,
/// native codes) goes to the log only. Neither holds prompt or document text.
struct Error {
  Errc code = Errc::internal;
  std::string message;
  std::string detail = {};
  /// The request field at fault, where one is ("messages[2].content"), else empty.
  std::string param = {};
};

template <class T>
using Result = std::expected<T, Error>;

/// Builds the error side of any Result.
inline std::unexpected<Error> fail(Errc code, std::string message, std::string detail = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(detail), {}});
}

[[noreturn]] inline void assert_failed(const char* text, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, text);
  std::abort();
}

}  // namespace hf

/// Evaluates an expression of type Result<T>: the value on success, else returns its error.
/// Never put co_await inside (GCC 16 fails on it); await first.
#define HF_TRY(expression)                                               \
  __extension__({                                                        \
    auto hf_try_result = (expression);                                   \
    if (!hf_try_result) return std::unexpected(std::move(hf_try_result).error()); \
    *std::move(hf_try_result);                                           \
  })
/// The same for Result<void>.
#define HF_TRY_VOID(expression)                                          \
  do {                                                                   \
    auto hf_try_result = (expression);                                   \
    if (!hf_try_result) return std::unexpected(std::move(hf_try_result).error()); \
  } while (false)
/// For our own bugs only, on in release builds; never for input from outside.
#define HF_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::hf::assert_failed(#condition, __FILE__, __LINE__))
