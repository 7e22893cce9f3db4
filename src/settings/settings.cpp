#include "settings/settings.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <glaze/toml.hpp>
#include <iterator>

namespace hf::settings {
namespace {

// What the file may hold; `data_folder` is not among it.
struct FileForm {
  Server server = {};
  Models models = {};
  Engine engine = {};
  std::map<std::string, std::vector<std::string>> engine_arguments = {};
  Log log = {};
};

std::string file_of(const std::string& data_folder) { return data_folder + "/holdfast.toml"; }

Result<void> check(const Settings& settings) {
  const auto refuse = [](std::string_view what) {
    return fail(Errc::invalid_argument, std::format("holdfast.toml: {}", what));
  };
  if (settings.server.certificate.empty() != settings.server.key.empty()) {
    return refuse("server.certificate and server.key go together; set both or neither.");
  }
  if (settings.server.io_threads == 0) return refuse("server.io_threads must be at least 1.");
  if (settings.server.body_bytes_max < 1024) return refuse("server.body_bytes_max must be at least 1024.");
  if (settings.engine.running_max == 0) return refuse("engine.running_max must be at least 1.");
  return {};
}

}  // namespace

std::string default_data_folder() {
  if (const char* set = std::getenv("HOLDFAST_DATA"); set != nullptr && *set != '\0') return set;
  if (::geteuid() == 0) return "/var/lib/holdfast";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : ".") + "/.local/share/holdfast";
}

Result<Settings> load(const std::string& data_folder) {
  Settings settings;
  settings.data_folder = std::filesystem::absolute(data_folder).string();
  std::ifstream file(file_of(data_folder), std::ios::binary);
  if (file) {
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    FileForm form;
    if (const auto problem = glz::read_toml(form, text)) {
      return fail(Errc::invalid_argument, std::format("{} is not usable: {}", file_of(data_folder),
                                                      glz::format_error(problem, text)));
    }
    settings.server = form.server;
    settings.models = form.models;
    settings.engine = form.engine;
    settings.engine_arguments = form.engine_arguments;
    settings.log = form.log;
  }
  HF_TRY_VOID(check(settings));
  return settings;
}

Result<void> write_first(const std::string& data_folder, std::uint16_t port,
                         const std::string& default_model) {
  std::error_code problem;
  std::filesystem::create_directories(data_folder, problem);
  if (std::filesystem::exists(file_of(data_folder))) return {};
  std::ofstream file(file_of(data_folder));
  file << std::format(
      "# Holdfast. Every setting has a default; docs/operations.md lists them all.\n"
      "[server]\n"
      "address = \"127.0.0.1\"  # 0.0.0.0 serves the network; then set names, too\n"
      "port = {}\n"
      "names = []              # further DNS names and addresses for the certificate\n"
      "\n"
      "[models]\n"
      "default_model = \"{}\"\n"
      "preload = [\"{}\"]\n"
      "idle_minutes = 15\n"
      "\n"
      "[log]\n"
      "level = \"info\"\n",
      port, default_model, default_model);
  file.close();
  if (!file) {
    return fail(Errc::failed_precondition,
                std::format("{} cannot be written; check the folder's rights and free space.",
                            file_of(data_folder)));
  }
  return {};
}

}  // namespace hf::settings
