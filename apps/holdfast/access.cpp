#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <format>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "api/json_writer.hpp"
#include "api/key_store.hpp"
#include "api/private_files.hpp"
#include "holdfast/commands.hpp"

namespace hf::cli {
namespace {

constexpr std::int64_t kDaySeconds = std::int64_t{24} * 60 * 60;

struct KeyGiven {
  std::string name;
  std::vector<std::string> permissions = {"infer", "models"};
  std::string priority = "normal";
  std::uint32_t expires_days = 0;
  bool save = false;
  bool json = false;
};

Result<std::unique_ptr<api::KeyStore>> open_keys(const Context& context) {
  const auto settings = HF_TRY(settings::load(context.data_folder));
  return api::KeyStore::open(settings.keys_folder());
}

Result<api::NewKey> wanted_key(const KeyGiven& given) {
  api::NewKey key{.name = given.name, .permissions = {}};
  for (const auto& name : given.permissions) {
    const auto permission = api::parse_permission(name);
    if (!permission) {
      return fail(Errc::invalid_argument,
                  std::format("Permission '{}' is unknown; use infer, models, metrics or keys.", name));
    }
    if (!std::ranges::contains(key.permissions, *permission)) key.permissions.push_back(*permission);
  }
  const auto priority = api::parse_priority(given.priority);
  if (!priority) {
    return fail(Errc::invalid_argument,
                std::format("Priority '{}' is unknown; use interactive, normal or batch.", given.priority));
  }
  key.priority_max = *priority;
  if (given.expires_days > 0) {
    key.expires = std::time(nullptr) + given.expires_days * kDaySeconds;
  }
  return key;
}

void print_created(const api::CreatedKey& created, const KeyGiven& given) {
  if (given.json) {
    std::string out;
    api::JsonWriter(out).open_object().member("id", created.record.id)
        .member("name", created.record.key.name).member("key", created.secret).close_object();
    std::puts(out.c_str());
    return;
  }
  std::puts(created.secret.c_str());
  std::fprintf(stderr, "Key %s (id %s). It is shown this once; keep it safe.\n",
               created.record.key.name.c_str(), created.record.id.c_str());
}

int create_key(const Context& context, const KeyGiven& given) {
  const auto settings = settings::load(context.data_folder);
  if (!settings) return report(settings.error());
  const auto key = wanted_key(given);
  if (!key) return report(key.error());
  const auto store = api::KeyStore::open(settings->keys_folder());
  if (!store) return report(store.error());
  const auto created = (*store)->create(*key);
  if (!created) return report(created.error());
  if (given.save) {
    const auto saved =
        api::write_private_file(settings->keys_folder(), "cli.key", created->secret + "\n");
    if (!saved) return report(saved.error());
  }
  print_created(*created, given);
  return 0;
}

std::string date_of(std::int64_t seconds) {
  if (seconds == 0) return "never";
  return std::format("{:%F}", std::chrono::sys_seconds(std::chrono::seconds(seconds)));
}

int list_keys(const Context& context) {
  const auto store = open_keys(context);
  if (!store) return report(store.error());
  const auto keys = (*store)->list();
  if (keys.empty()) {
    std::puts("No keys yet. Make one with: holdfast key create --name NAME");
    return 0;
  }
  std::printf("%-12s  %-24s %-28s %-11s %-10s %s\n", "ID", "NAME", "PERMISSIONS", "PRIORITY", "CREATED",
              "EXPIRES");
  for (const auto& record : keys) {
    std::string permissions;
    for (const auto permission : record.key.permissions) {
      if (!permissions.empty()) permissions += ',';
      permissions += api::to_string(permission);
    }
    std::printf("%-12s  %-24s %-28s %-11s %-10s %s\n", record.id.c_str(), record.key.name.c_str(),
                permissions.c_str(), std::string(api::priority_name(record.key.priority_max)).c_str(),
                date_of(record.created).c_str(), date_of(record.key.expires).c_str());
  }
  return 0;
}

int revoke_key(const Context& context, const std::string& id) {
  const auto store = open_keys(context);
  if (!store) return report(store.error());
  if (const auto revoked = (*store)->revoke(id); !revoked) return report(revoked.error());
  std::printf("%s revoked.\n", id.c_str());
  return 0;
}

int show_setup_token(const Context& context) {
  const auto store = open_keys(context);
  if (!store) return report(store.error());
  const auto token = (*store)->setup_token();
  if (!token) return report(token.error());
  if (!*token) {
    std::fputs("holdfast: Setup is done; make more keys with: holdfast key create\n", stderr);
    return 1;
  }
  std::puts((*token)->c_str());
  return 0;
}

int show_ca(const Context& context, bool path_only) {
  const auto settings = settings::load(context.data_folder);
  if (!settings) return report(settings.error());
  if (!settings->server.certificate.empty()) {
    std::fputs("holdfast: The server uses your own certificate; ask whoever signed it for the CA.\n",
               stderr);
    return 1;
  }
  const auto path = std::filesystem::absolute(settings->tls_folder() + "/ca.pem").string();
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fputs("holdfast: There is no CA yet; the server makes it at its first start.\n", stderr);
    return 1;
  }
  if (path_only) {
    std::puts(path.c_str());
    return 0;
  }
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::fputs(text.c_str(), stdout);
  return 0;
}

void add_init(CLI::App& app, Context& context) {
  struct Init {
    std::uint16_t port = 8443;
    std::string model;
  };
  auto* command = app.add_subcommand("init", "Write a first configuration, unless there is one");
  auto given = std::make_shared<Init>();
  command->add_option("--port", given->port, "Port of the API")->capture_default_str();
  command->add_option("--model", given->model, "Default model");
  command->callback([given, &context] {
    context.chosen = [given, &context] {
      const auto written = settings::write_first(context.data_folder, given->port, given->model);
      if (!written) return report(written.error());
      std::printf("%s/holdfast.toml\n", context.data_folder.c_str());
      return 0;
    };
  });
}

void add_keys(CLI::App& app, Context& context) {
  auto* keys = app.add_subcommand("key", "API keys");
  keys->require_subcommand(1);
  auto* create = keys->add_subcommand("create", "Make a key and print it");
  auto given = std::make_shared<KeyGiven>();
  create->add_option("--name", given->name, "What the key is for")->required();
  create->add_option("--permission", given->permissions, "infer, models, metrics, keys; repeatable")
      ->capture_default_str();
  create->add_option("--priority", given->priority, "Highest: interactive, normal or batch")
      ->capture_default_str();
  create->add_option("--expires-days", given->expires_days, "0: never");
  create->add_flag("--save-for-cli", given->save, "Keep it for this command line on this machine");
  create->add_flag("--json", given->json, "Print id, name and key as JSON");
  create->callback([given, &context] {
    context.chosen = [given, &context] { return create_key(context, *given); };
  });
  keys->add_subcommand("list", "Keys, without their secrets")->callback([&context] {
    context.chosen = [&context] { return list_keys(context); };
  });
  auto* revoke = keys->add_subcommand("revoke", "Make a key useless within a second");
  auto id = std::make_shared<std::string>();
  revoke->add_option("id", *id, "Its id, see key list")->required();
  revoke->callback([id, &context] {
    context.chosen = [id, &context] { return revoke_key(context, *id); };
  });
}

}  // namespace

void add_access(CLI::App& app, Context& context) {
  add_init(app, context);
  add_keys(app, context);
  app.add_subcommand("setup-token", "The one-time token for POST /v1/setup")->callback([&context] {
    context.chosen = [&context] { return show_setup_token(context); };
  });
  auto* ca = app.add_subcommand("ca", "The private CA behind the server's certificate");
  ca->require_subcommand(1);
  auto* show = ca->add_subcommand("show", "Print its certificate");
  auto path_only = std::make_shared<bool>(false);
  show->add_flag("--path", *path_only, "Print where it is instead");
  show->callback([path_only, &context] {
    context.chosen = [path_only, &context] { return show_ca(context, *path_only); };
  });
}

}  // namespace hf::cli
