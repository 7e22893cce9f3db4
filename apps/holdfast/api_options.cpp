#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>

#include "holdfast/commands.hpp"

namespace hf::cli {

void add_api_options(CLI::App& command, ApiOptions& options) {
  command.add_option("--url", options.address, "Address of the API, without /v1");
  command.add_option("--key", options.key, "API key; else $HOLDFAST_API_KEY or the CLI's own");
  command.add_option("--ca", options.ca_file, "CA certificate that signed the server's");
  command.add_flag("--insecure", options.insecure, "Accept any certificate (tests only)");
}

Result<client::Endpoint> endpoint_of(const Context& context, const ApiOptions& options) {
  const auto settings = HF_TRY(settings::load(context.data_folder));
  client::Endpoint endpoint;
  endpoint.verify = !options.insecure;
  endpoint.key = options.key;
  if (const char* set = std::getenv("HOLDFAST_API_KEY"); endpoint.key.empty() && set != nullptr) {
    endpoint.key = set;
  }
  if (!options.address.empty()) {
    endpoint.address = options.address;
    while (endpoint.address.ends_with('/')) endpoint.address.pop_back();
    if (endpoint.address.ends_with("/v1")) endpoint.address.resize(endpoint.address.size() - 3);
  } else {
    endpoint.address = std::format("{}://127.0.0.1:{}", settings.server.tls ? "https" : "http",
                                   settings.server.port);
    const auto ca = settings.tls_folder() + "/ca.pem";
    if (settings.server.certificate.empty() && std::filesystem::exists(ca)) endpoint.ca_file = ca;
    if (endpoint.key.empty()) {
      std::ifstream file(settings.keys_folder() + "/cli.key");
      std::getline(file, endpoint.key);
    }
  }
  if (!options.ca_file.empty()) endpoint.ca_file = options.ca_file;
  return endpoint;
}

int report(const Error& error) {
  std::fprintf(stderr, "holdfast: %s\n", error.message.c_str());
  if (!error.detail.empty()) std::fprintf(stderr, "  (%s)\n", error.detail.c_str());
  return 1;
}

}  // namespace hf::cli
