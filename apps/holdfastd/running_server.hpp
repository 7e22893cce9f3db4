#pragma once
// All parts of the server, built from the settings in the order they need each other. Owner: main.

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "api/key_store.hpp"
#include "api/service.hpp"
#include "base/metrics.hpp"
#include "http/server.hpp"
#include "inference/engine_pool_options.hpp"
#include "inference/inference.hpp"
#include "holdfastd/process_metrics.hpp"
#include "settings/settings.hpp"

namespace hf::daemon {

/// What the engines are told by the settings.
inference::EnginePoolOptions pool_options(const settings::Settings& settings);
/// Checks what only shows when the parts are built, without building them: files, address, level.
Result<void> check_settings(const settings::Settings& settings);

class RunningServer {
 public:
  /// Starts everything; the server answers when it returns. Errors: as the parts'.
  static Result<std::unique_ptr<RunningServer>> start(const settings::Settings& settings);

  /// No new requests; running ones may end within the settings' time. Blocks.
  void drain();
  /// Certificate again from its files; one of ours is renewed if it is about to expire.
  Result<void> reload_certificate();
  /// "https://127.0.0.1:8443"
  [[nodiscard]] std::string address() const;
  /// There is no key yet that may make others.
  [[nodiscard]] bool needs_setup() const { return needs_setup_; }

 private:
  explicit RunningServer(const settings::Settings& settings)
      : settings_(settings), process_(metrics_) {}
  Result<void> open_parts();
  Result<void> listen();
  Result<http::TlsFiles> tls_files() const;
  [[nodiscard]] std::shared_ptr<api::Service> make_service();

  // Destroyed from the last to the first.
  const settings::Settings settings_;
  Metrics metrics_;
  ProcessMetrics process_;
  std::unique_ptr<api::KeyStore> keys_;
  std::unique_ptr<inference::Inference> models_;
  std::shared_ptr<std::atomic<bool>> draining_ = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<http::Server> server_;
  std::function<Result<void>()> check_store_;
  bool needs_setup_ = false;
};

}  // namespace hf::daemon
