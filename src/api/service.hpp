#pragma once
// What every endpoint gets, and the table that names each endpoint's permission. The http module
// calls make_handler()'s handler on its io threads; nothing here may block one.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/exchange.hpp"
#include "api/texts.hpp"
#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "inference/inference.hpp"

namespace hf::api {

class KeyStore;

/// What an endpoint asks of its caller; `open` asks nothing.
enum class Permission : std::uint8_t { open, infer, models, metrics, keys };
std::string_view to_string(Permission permission);
std::optional<Permission> parse_permission(std::string_view name);

std::string_view priority_name(wire::Priority priority);
std::optional<wire::Priority> parse_priority(std::string_view name);

/// Who calls, as the key says. The seam for users, roles and limits.
struct Caller {
  std::string key_id = {};
  std::string name = {};
  std::string tenant = {};  ///< Fair share and cached prefixes are per tenant.
  wire::Priority priority_max = wire::Priority::normal;
};

struct ServiceOptions {
  std::string default_model = {};            ///< Taken where a request names none; empty: refused.
  std::string version = {};
  bool open_metrics = false;                 ///< /metrics without a key.
  std::chrono::seconds request_timeout{600}; ///< Deadline of one generation; 0: none.
  std::uint32_t choices_max = 64;            ///< OpenAI's n.
  std::uint32_t stop_max = 16;               ///< Stop strings of a request.
  std::uint32_t embedding_inputs_max = 2048;
  std::uint32_t rerank_documents_max = 2048;
  std::uint32_t logprobs_max = 20;
};

/// Lives as long as the server; the parts outlive it. Threads: any.
struct Service {
  inference::Inference& models;
  KeyStore& keys;
  Metrics& metrics;
  ServiceOptions options = {};
  /// Set when the server drains; /readyz says so.
  std::shared_ptr<std::atomic<bool>> draining = std::make_shared<std::atomic<bool>>(false);
  /// Whether the model store can be read; empty: not asked. Errors make /readyz say 503.
  std::function<Result<void>()> check_store = {};
  /// Brings gauges up to date before /metrics writes them; empty: nothing to do.
  std::function<void()> refresh_metrics = {};
};

/// One request on its way to its endpoint.
struct Call {
  HttpRequest request;
  std::shared_ptr<ResponseSink> sink;
  Language language = Language::english;
  Caller caller = {};
  TimePoint arrived = {};
};

using Endpoint = void (*)(const std::shared_ptr<Service>& service, Call call);

struct Route {
  std::string_view method;
  std::string_view path;  ///< A last segment "{}" takes the rest of the path.
  Permission permission;
  Endpoint endpoint;
};

/// Every endpoint there is; a route without a permission does not compile.
std::span<const Route> routes();

/// Finds the route, checks key and permission, counts and times, answers faults.
Handler make_handler(std::shared_ptr<Service> service);

// ---- endpoints, one file each -----------------------------------------------------------------
void chat_completions(const std::shared_ptr<Service>& service, Call call);
void completions(const std::shared_ptr<Service>& service, Call call);
void responses(const std::shared_ptr<Service>& service, Call call);
void embeddings(const std::shared_ptr<Service>& service, Call call);
void rerank(const std::shared_ptr<Service>& service, Call call);
void tokenize(const std::shared_ptr<Service>& service, Call call);
void detokenize(const std::shared_ptr<Service>& service, Call call);
void list_models(const std::shared_ptr<Service>& service, Call call);
void show_model(const std::shared_ptr<Service>& service, Call call);
void live(const std::shared_ptr<Service>& service, Call call);
void ready(const std::shared_ptr<Service>& service, Call call);
void metrics_text(const std::shared_ptr<Service>& service, Call call);
void set_up(const std::shared_ptr<Service>& service, Call call);
void create_key(const std::shared_ptr<Service>& service, Call call);
void list_keys(const std::shared_ptr<Service>& service, Call call);
void revoke_key(const std::shared_ptr<Service>& service, Call call);

}  // namespace hf::api
