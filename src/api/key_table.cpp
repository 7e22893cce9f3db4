#include "api/key_table.hpp"

#include <algorithm>
#include <utility>

#include "api/json.hpp"
#include "api/json_writer.hpp"

namespace hf::api {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMacDigits = 64;

std::unexpected<Error> damaged(std::string_view why) {
  return fail(Errc::data_corrupt,
              "The keys file is damaged; restore keys/keys.json from a backup, or move it away and "
              "make new keys.",
              std::string(why));
}

std::string text_of(Json object, std::string_view name) {
  const auto found = object[name];
  return found.is(JsonKind::string) ? std::string(found.text()) : std::string();
}

std::int64_t seconds_of(Json object, std::string_view name) {
  const auto found = object[name];
  return found.is(JsonKind::number) ? found.integer().value_or(-1) : -1;
}

Result<StoredKey> parse_key(Json object) {
  if (!object.is(JsonKind::object)) return damaged("a key is no object");
  StoredKey key{.record = {.id = text_of(object, "id"), .key = {.name = text_of(object, "name")}},
                .mac = text_of(object, "hmac")};
  auto& given = key.record.key;
  const auto priority = parse_priority(text_of(object, "priority_max"));
  key.record.created = seconds_of(object, "created");
  given.expires = seconds_of(object, "expires");
  if (key.record.id.empty() || key.mac.size() != kMacDigits || !priority || given.expires < 0) {
    return damaged("a key lacks a member");
  }
  given.priority_max = *priority;
  given.permissions.clear();
  const auto permissions = object["permissions"];
  if (!permissions.is(JsonKind::array)) return damaged("a key has no permissions");
  for (const auto item : permissions) {
    const auto permission =
        item.is(JsonKind::string) ? parse_permission(item.text()) : std::nullopt;
    if (!permission) return damaged("unknown permission");
    given.permissions.push_back(*permission);
  }
  return key;
}

void write_key(JsonWriter& json, const StoredKey& key) {
  const auto& given = key.record.key;
  json.open_object().member("id", key.record.id).member("name", given.name);
  json.key("permissions").open_array();
  for (const auto permission : given.permissions) json.value(to_string(permission));
  json.close_array();
  json.member("priority_max", priority_name(given.priority_max));
  json.member("created", key.record.created).member("expires", given.expires);
  json.member("hmac", key.mac).close_object();
}

}  // namespace

bool KeyTable::set_up() const {
  return std::ranges::any_of(keys, [](const auto& entry) {
    return std::ranges::contains(entry.second.record.key.permissions, Permission::keys);
  });
}

std::string KeyTable::text() const {
  std::string out;
  JsonWriter json(out);
  json.open_object().member("version", kVersion).key("keys").open_array();
  for (const auto& [id, key] : keys) write_key(json, key);
  json.close_array().close_object();
  out += '\n';
  return out;
}

Result<KeyTable> KeyTable::parse(const std::string& text) {
  const auto document = JsonDocument::parse(text);
  if (!document) return damaged("no JSON");
  const auto root = document->root();
  if (!root.is(JsonKind::object)) return damaged("no object");
  if (seconds_of(root, "version") != kVersion) return damaged("another version");
  const auto items = root["keys"];
  if (!items.is(JsonKind::array)) return damaged("no keys");
  KeyTable table;
  for (const auto item : items) {
    auto key = HF_TRY(parse_key(item));
    auto id = key.record.id;
    table.keys.insert_or_assign(std::move(id), std::move(key));
  }
  return table;
}

}  // namespace hf::api
