// holdfast: the operator's hand. `holdfast --help` lists the commands.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/log.hpp"
#include "holdfast/commands.hpp"

namespace {

constexpr int kUsage = 2;

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Holdfast: your organisation's own LLM platform");
  app.set_version_flag("--version", HF_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  hf::cli::Context context;
  app.add_option("--data-dir", context.data_folder, "Data folder")->capture_default_str();
  hf::cli::add_serve(app, context);
  hf::cli::add_models(app, context);
  hf::cli::add_access(app, context);
  hf::cli::add_chat(app, context);
  hf::cli::add_bench(app, context);
  hf::cli::add_status(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : kUsage;
  }
  (void)hf::log::start({.level = hf::log::Level::warn, .file = {}, .program = "holdfast"});
  return context.chosen ? context.chosen() : kUsage;
}
