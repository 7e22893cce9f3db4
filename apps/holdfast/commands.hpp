#pragma once
// The CLI's commands. Each declares its options on the app and returns its work in `chosen`.

#include <CLI/App.hpp>
#include <functional>
#include <string>

#include "client/endpoint.hpp"
#include "settings/settings.hpp"

namespace hf::cli {

/// What every command needs; filled before it runs.
struct Context {
  std::string data_folder = settings::default_data_folder();
  std::function<int()> chosen;
};

/// Where the API is, as given or as this machine's settings say.
struct ApiOptions {
  std::string address = {};
  std::string key = {};
  std::string ca_file = {};
  bool insecure = false;
};
void add_api_options(CLI::App& command, ApiOptions& options);
/// Key: as given, $HOLDFAST_API_KEY, else the CLI's own key in the data folder.
Result<client::Endpoint> endpoint_of(const Context& context, const ApiOptions& options);

/// Prints "holdfast: message" to standard error and returns 1.
int report(const Error& error);

void add_serve(CLI::App& app, Context& context);
void add_models(CLI::App& app, Context& context);   // pull, models, rm, import, catalogue
void add_access(CLI::App& app, Context& context);   // ca, key, setup-token
void add_chat(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);

}  // namespace hf::cli
