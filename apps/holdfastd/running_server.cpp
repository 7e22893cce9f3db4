#include "holdfastd/running_server.hpp"

#include <algorithm>
#include <chrono>
#include <format>
#include <utility>

#include <arpa/inet.h>
#include <unistd.h>

#include "base/log.hpp"
#include "holdfastd/process.hpp"
#include "inference/engine_pool.hpp"
#include "registry/model_store.hpp"

namespace hf::daemon {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// Engines, their pipes, files of the registry, the log.
constexpr std::uint64_t kFilesBesideConnections = 512;
// What still runs when the listener has drained has no reader any more.
constexpr seconds kPoolDrain{2};

void add_number(std::vector<std::string>& arguments, const char* name, auto value, auto unset) {
  if (value == unset) return;
  arguments.insert(arguments.end(), {name, std::to_string(value)});
}

std::vector<std::string> engine_arguments(const settings::Settings& settings) {
  const auto& engine = settings.engine;
  std::vector<std::string> arguments;
  add_number(arguments, "--threads", engine.threads, 0U);
  add_number(arguments, "--gpu-layers", engine.gpu_layers, -1);
  add_number(arguments, "--step-tokens", engine.step_tokens, 0U);
  add_number(arguments, "--request-tokens", engine.request_tokens, 0U);
  add_number(arguments, "--running-max", engine.running_max, 0U);
  arguments.insert(arguments.end(), {"--swap-bytes", std::to_string(engine.swap_bytes)});
  arguments.insert(arguments.end(), {"--log-level", settings.log.level});
  arguments.insert(arguments.end(), engine.arguments.begin(), engine.arguments.end());
  return arguments;
}

bool is_address(const std::string& text) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

http::ServerOptions server_options(const settings::Server& server, const http::TlsFiles& files) {
  http::ServerOptions options{.address = server.address, .port = server.port, .tls = server.tls};
  options.tls_files = files;
  options.io_threads = server.io_threads;
  options.body_bytes_max = server.body_bytes_max;
  options.connections_max = server.connections_max;
  options.connections_per_ip_max = server.connections_per_ip_max;
  options.unsent_bytes_max = server.unsent_bytes_max;
  options.idle_timeout = seconds(server.idle_seconds);
  const auto allowed = raise_open_files(server.connections_max + kFilesBesideConnections);
  if (allowed < server.connections_max + kFilesBesideConnections) {
    const auto room = allowed > kFilesBesideConnections ? allowed - kFilesBesideConnections : 1;
    options.connections_max = static_cast<std::uint32_t>(room);
    log::warn("Only {} open files are allowed, so {} connections at most; raise the limit "
              "(LimitNOFILE, ulimit -n) for {}.",
              allowed, options.connections_max, server.connections_max);
  }
  return options;
}

}  // namespace

inference::EnginePoolOptions pool_options(const settings::Settings& settings) {
  const auto& models = settings.models;
  inference::EnginePoolOptions options;
  options.engine_arguments = engine_arguments(settings);
  options.model_arguments = settings.engine_arguments;
  options.memory_budget_bytes = models.memory_bytes;
  options.cells = settings.engine.cells;
  options.models_max = models.loaded_max;
  options.preload = models.preload;
  options.pinned = models.pinned;
  options.requests_max = models.requests_max;
  options.idle_unload = minutes(models.idle_minutes);
  options.load_timeout = seconds(models.load_seconds);
  options.hang_timeout = seconds(models.hang_seconds);
  options.crash_limit = std::max(1U, models.crash_limit);
  options.crash_window = seconds(models.crash_seconds);
  options.drain = kPoolDrain;
  if (settings.server.vllm_metrics) options.metric_names = inference::MetricNames::own_and_vllm;
  return options;
}

Result<void> check_settings(const settings::Settings& settings) {
  HF_TRY(log::parse_level(settings.log.level));
  const auto& server = settings.server;
  if (!is_address(server.address)) {
    return fail(Errc::invalid_argument,
                std::format("holdfast.toml: server.address '{}' is no IP address; 0.0.0.0 is for all.",
                            server.address));
  }
  for (const auto& file : {server.certificate, server.key, settings.models.catalogue}) {
    if (file.empty() || ::access(file.c_str(), R_OK) == 0) continue;
    return fail(Errc::invalid_argument,
                std::format("holdfast.toml names the file {}, which cannot be read.", file));
  }
  return {};
}

Result<std::unique_ptr<RunningServer>> RunningServer::start(const settings::Settings& settings) {
  std::unique_ptr<RunningServer> started(new RunningServer(settings));
  HF_TRY_VOID(started->open_parts());
  HF_TRY_VOID(started->listen());
  return started;
}

Result<void> RunningServer::open_parts() {
  keys_ = HF_TRY(api::KeyStore::open(settings_.keys_folder()));
  needs_setup_ = HF_TRY(keys_->renew_setup_token()).has_value();
  auto store = HF_TRY(registry::ModelStore::open(settings_.models_folder()));
  const auto& wanted = settings_.models.default_model;
  const auto known = HF_TRY(store.list());
  if (!wanted.empty() && std::ranges::none_of(known, [&wanted](const auto& record) {
        return record.name == wanted.substr(0, wanted.find(':'));
      })) {
    log::warn("The default model '{}' is not here yet; get it with: holdfast pull", wanted);
  }
  models_ = HF_TRY(inference::EnginePool::open(pool_options(settings_), store, metrics_));
  check_store_ = [store] { return store.list().transform([](const auto&) {}); };
  return {};
}

std::shared_ptr<api::Service> RunningServer::make_service() {
  api::ServiceOptions options;
  options.default_model = settings_.models.default_model;
  options.version = HF_VERSION;
  options.open_metrics = settings_.server.open_metrics;
  return std::make_shared<api::Service>(api::Service{
      .models = *models_,
      .keys = *keys_,
      .metrics = metrics_,
      .options = options,
      .draining = draining_,
      .check_store = check_store_,
      .refresh_metrics = [this] { process_.refresh(); },
  });
}

Result<http::TlsFiles> RunningServer::tls_files() const {
  const auto& server = settings_.server;
  if (!server.tls) return http::TlsFiles{};
  if (!server.certificate.empty()) return http::TlsFiles{server.certificate, server.key};
  auto names = server.names;
  if (server.address != "0.0.0.0" && server.address != "::") names.push_back(server.address);
  return http::ensure_certificates(settings_.tls_folder(), names);
}

Result<void> RunningServer::listen() {
  const auto files = HF_TRY(tls_files());
  server_ = HF_TRY(http::Server::start(server_options(settings_.server, files),
                                       api::make_handler(make_service()), metrics_));
  return {};
}

void RunningServer::drain() {
  draining_->store(true);
  server_->drain(seconds(settings_.server.drain_seconds));
}

Result<void> RunningServer::reload_certificate() {
  HF_TRY(tls_files());
  return server_->reload_certificate();
}

std::string RunningServer::address() const {
  const auto& server = settings_.server;
  const bool v6 = server.address.contains(':');
  return std::format("{}://{}{}{}:{}", server.tls ? "https" : "http", v6 ? "[" : "", server.address,
                     v6 ? "]" : "", server_->port());
}

}  // namespace hf::daemon
