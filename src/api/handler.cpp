#include <algorithm>
#include <chrono>
#include <utility>

#include "api/answer.hpp"
#include "api/key_store.hpp"
#include "api/request_metrics.hpp"
#include "api/service.hpp"

namespace hf::api {
namespace {

constexpr std::string_view kRest = "{}";
constexpr std::string_view kNoRoute = "none";

bool same_letters(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(left, right, {}, lower, lower);
}

bool matches(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with(kRest)) return pattern == path;
  pattern.remove_suffix(kRest.size());
  return path.size() > pattern.size() && path.starts_with(pattern);
}

struct Found {
  const Route* route = nullptr;        ///< Null: none for this method.
  std::string_view path = {};          ///< The pattern that matches; empty: none.
  std::string allowed = {};            ///< Methods of the path, as for the header Allow.
};

Found find_route(std::string_view method, std::string_view path) {
  Found found;
  // HEAD is a GET whose body the http module leaves out.
  const auto wanted = method == "HEAD" ? std::string_view("GET") : method;
  for (const auto& route : routes()) {
    if (!matches(route.path, path)) continue;
    found.path = route.path;
    if (route.method == wanted) found.route = &route;
    if (!found.allowed.empty()) found.allowed += ", ";
    found.allowed += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  return found;
}

/// The key as sent; empty: none. Another scheme than Bearer counts as a wrong key.
std::string_view key_of(const HttpRequest& request) {
  constexpr std::string_view kBearer = "bearer ";
  if (const auto header = request.header("authorization")) {
    if (!same_letters(header->substr(0, kBearer.size()), kBearer)) return *header;
    auto key = header->substr(kBearer.size());
    while (key.starts_with(' ')) key.remove_prefix(1);
    return key;
  }
  for (const auto name : {"x-api-key", "api-key"}) {
    if (const auto header = request.header(name)) return *header;
  }
  return {};
}

class Handling {
 public:
  explicit Handling(std::shared_ptr<Service> service)
      : service_(std::move(service)), counts_(service_->metrics) {}

  void handle(HttpRequest request, std::shared_ptr<ResponseSink> sink) {
    const auto found = find_route(request.method, request.path);
    sink = counts_.watch(std::move(sink), found.path.empty() ? kNoRoute : found.path,
                         request.method);
    const auto language = preferred_language(request.header("accept-language").value_or(""));
    Call call{.request = std::move(request),
              .sink = std::move(sink),
              .language = language,
              .arrived = std::chrono::steady_clock::now()};
    if (found.path.empty() && call.request.path != "*") return answer_unknown(call);
    if (found.route == nullptr) return answer_method(call, found);
    if (auto admitted = admit(call, found.route->permission); !admitted) {
      return answer_fault(call, admitted.error());
    }
    found.route->endpoint(service_, std::move(call));
  }

 private:
  static void answer_unknown(const Call& call) {
    const auto& request = call.request;
    answer_fault(call, {Error{Errc::not_found, say(call.language, TextId::unknown_path,
                                                   request.method, shown(request.path))},
                        "unknown_url"});
  }

  static void answer_method(const Call& call, const Found& found) {
    const auto allowed = found.allowed + (found.allowed.empty() ? "" : ", ") + "OPTIONS";
    HttpResponse response{.status = 204};
    if (call.request.method != "OPTIONS") {
      response = fault_response({Error{Errc::invalid_argument,
                                       say(call.language, TextId::wrong_method,
                                           shown(call.request.path), call.request.method,
                                           found.allowed)},
                                 "method_not_allowed"});
      response.status = 405;
    }
    response.headers.emplace_back("allow", allowed);
    call.sink->respond(std::move(response));
  }

  static std::string shown(const std::string& path) {
    constexpr std::size_t kShownMax = 128;
    return path.size() <= kShownMax ? path : path.substr(0, kShownMax) + "...";
  }

  /// Fills in the caller.
  Checked<void> admit(Call& call, Permission permission) {
    const bool open = permission == Permission::open ||
                      (permission == Permission::metrics && service_->options.open_metrics);
    if (open) return {};
    const auto key = key_of(call.request);
    if (key.empty()) {
      counts_.count_key_check("missing");
      return std::unexpected(Fault(
          {Errc::unauthenticated, std::string(pattern(call.language, TextId::key_missing))}));
    }
    auto record = service_->keys.check(key);
    if (!record) return std::unexpected(key_refused(call, record.error()));
    counts_.count_key_check("ok");
    if (!std::ranges::contains(record->key.permissions, permission)) {
      const auto wanted = to_string(permission);
      counts_.count_denied(wanted);
      return std::unexpected(Fault(
          {Errc::permission_denied, say(call.language, TextId::no_permission, wanted)}));
    }
    call.caller = {.key_id = record->id,
                   .name = record->key.name,
                   .tenant = record->id,
                   .priority_max = record->key.priority_max};
    return {};
  }

  /// The store's refusal in the caller's language.
  Fault key_refused(const Call& call, Fault fault) {
    const bool broken = fault.error.code == Errc::unavailable;
    const bool expired = fault.code == kKeyExpired;
    counts_.count_key_check(broken ? "unavailable" : expired ? "expired" : "unknown");
    fault.error.message = pattern(call.language, broken    ? TextId::key_store_broken
                                                 : expired ? TextId::key_expired
                                                           : TextId::key_unknown);
    return fault;
  }

  const std::shared_ptr<Service> service_;
  RequestMetrics counts_;
};

}  // namespace

Handler make_handler(std::shared_ptr<Service> service) {
  auto handling = std::make_shared<Handling>(std::move(service));
  return [handling = std::move(handling)](HttpRequest request, std::shared_ptr<ResponseSink> sink) {
    handling->handle(std::move(request), std::move(sink));
  };
}

}  // namespace hf::api
