#pragma once
// The configuration file, holdfast.toml: every limit with its default. Read by holdfastd and the CLI.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace hf::settings {

struct Server {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8443;
  bool tls = true;              ///< false only behind a proxy on the same machine.
  std::string certificate = {}; ///< PEM; empty: made by the private CA.
  std::string key = {};
  std::vector<std::string> names = {};  ///< DNS names and addresses for the made certificate.
  std::uint32_t io_threads = 1;
  std::uint64_t body_bytes_max = std::uint64_t{32} << 20U;
  std::uint32_t connections_max = 10'000;
  std::uint32_t connections_per_ip_max = 1'000;
  std::uint64_t unsent_bytes_max = std::uint64_t{1} << 20U;
  std::uint32_t idle_seconds = 120;
  std::uint32_t drain_seconds = 30;
  bool open_metrics = false;    ///< /metrics without a key.
  bool vllm_metrics = false;    ///< Also under vLLM's names, for dashboards that know those.
};

struct Models {
  std::string folder = {};                ///< Empty: models/ in the data folder.
  std::string default_model = {};
  std::string catalogue = {};             ///< A catalogue file of your own, merged over ours.
  std::uint64_t memory_bytes = 0;         ///< For all loaded models; 0: 75 % of what is free.
  std::uint32_t loaded_max = 0;           ///< 0: no limit.
  std::uint32_t idle_minutes = 15;        ///< 0: never unloaded.
  std::uint32_t requests_max = 512;       ///< In flight per model; more get 429.
  std::uint32_t load_seconds = 600;
  std::uint32_t hang_seconds = 60;
  std::uint32_t crash_limit = 3;          ///< In crash_seconds: the model is marked failed.
  std::uint32_t crash_seconds = 60;
  std::vector<std::string> preload = {};
  std::vector<std::string> pinned = {};
};

struct Engine {
  std::uint32_t cells = 0;          ///< KV cells; 0: from memory and model.
  std::uint32_t threads = 0;        ///< 0: measured.
  std::int32_t gpu_layers = -1;     ///< -1: all that fit.
  std::uint32_t step_tokens = 0;    ///< 0: measured.
  std::uint32_t running_max = 64;
  std::uint32_t request_tokens = 0; ///< 0: the model's.
  std::uint64_t swap_bytes = std::uint64_t{4} << 30U;
  std::vector<std::string> arguments = {};  ///< Further arguments of holdfast-engine.
};

struct Log {
  std::string level = "info";
  std::string file = {};  ///< Empty: standard error.
};

struct Settings {
  Server server = {};
  Models models = {};
  Engine engine = {};
  std::map<std::string, std::vector<std::string>> engine_arguments = {};  ///< By model name.
  Log log = {};
  std::string data_folder = {};  ///< Not in the file: the folder the file is in.

  [[nodiscard]] std::string models_folder() const {
    return models.folder.empty() ? data_folder + "/models" : models.folder;
  }
  [[nodiscard]] std::string tls_folder() const { return data_folder + "/tls"; }
  [[nodiscard]] std::string keys_folder() const { return data_folder + "/keys"; }
};

/// Reads DATA_FOLDER/holdfast.toml; a missing file gives the defaults.
/// Errors: invalid_argument, with line and setting: unknown names are refused, not ignored.
Result<Settings> load(const std::string& data_folder);
/// Writes a commented first file unless one is there. Errors: failed_precondition.
Result<void> write_first(const std::string& data_folder, std::uint16_t port,
                         const std::string& default_model);
/// $HOLDFAST_DATA, else /var/lib/holdfast for root, else ~/.local/share/holdfast.
std::string default_data_folder();

}  // namespace hf::settings
