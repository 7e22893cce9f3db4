// POST /v1/setup and /v1/keys: how the first key and all further ones are made.
#include <algorithm>
#include <ctime>
#include <utility>

#include "api/answer.hpp"
#include "api/json_writer.hpp"
#include "api/key_store.hpp"

namespace hf::api {
namespace {

constexpr std::string_view kPath = "/v1/keys/";
constexpr std::int64_t kDaySeconds = std::int64_t{24} * 60 * 60;
constexpr std::int64_t kDaysMax = 36'500;
constexpr int kCreated = 201;

void write_record(JsonWriter& json, const KeyRecord& record) {
  json.member("object", "api_key").member("id", record.id).member("name", record.key.name);
  json.key("permissions").open_array();
  for (const auto permission : record.key.permissions) json.value(to_string(permission));
  json.close_array();
  json.member("priority", priority_name(record.key.priority_max));
  json.member("created", record.created);
  record.key.expires == 0 ? json.member_null("expires_at")
                          : json.member("expires_at", record.key.expires);
}

void answer_created(const Call& call, const CreatedKey& created) {
  std::string out;
  JsonWriter json(out);
  json.open_object();
  write_record(json, created.record);
  json.member("key", created.secret).close_object();
  answer_json(call, std::move(out), kCreated);
}

void read_name(Fields& fields, std::string& name) {
  fields.text("name", name);
  if (fields.good() && !valid_key_name(name)) fields.fail("name", TextId::bad_name);
}

struct Claim {
  std::string token;
  std::string name = "admin";
};

Checked<Claim> read_claim(Call& call) {
  const auto body = HF_TRY(read_body(call));
  Fields fields(body.root(), "", call.language);
  Claim claim;
  fields.require("token");
  fields.text("token", claim.token);
  read_name(fields, claim.name);
  HF_TRY_VOID(fields.finish());
  return claim;
}

void read_permissions(Fields& fields, std::vector<Permission>& permissions) {
  std::vector<std::string> names;
  const bool given = fields.has("permissions");
  fields.texts("permissions", names);
  if (!given || !fields.good()) return;
  if (names.empty()) return fields.fail("permissions", TextId::empty_list);
  permissions.clear();
  for (const auto& name : names) {
    const auto permission = parse_permission(name);
    if (!permission) {
      return fields.fail("permissions", TextId::want_one_of,
                         std::string_view("'infer', 'models', 'metrics', 'keys'"));
    }
    if (!std::ranges::contains(permissions, *permission)) permissions.push_back(*permission);
  }
}

Checked<NewKey> read_key(Call& call) {
  const auto body = HF_TRY(read_body(call));
  Fields fields(body.root(), "", call.language);
  NewKey key;
  fields.require("name");
  read_name(fields, key.name);
  read_permissions(fields, key.permissions);
  if (const auto word = fields.word("priority", {"interactive", "normal", "batch"})) {
    key.priority_max = parse_priority(*word).value_or(key.priority_max);
  }
  std::int64_t days = 0;
  fields.integer("expires_days", 1, kDaysMax, days);
  if (days > 0) key.expires = std::time(nullptr) + days * kDaySeconds;
  HF_TRY_VOID(fields.finish());
  return key;
}

/// The store's refusals in the caller's language.
Fault in_words(const Call& call, Error error) {
  if (error.code == Errc::permission_denied) {
    error.message = pattern(call.language, TextId::setup_token_bad);
    return {std::move(error), "invalid_setup_token"};
  }
  if (error.code == Errc::failed_precondition) {
    error.message = pattern(call.language, TextId::setup_done);
    return {std::move(error), "setup_done"};
  }
  return error;
}

/// Work on the key store's thread; `work` answers.
template <class Work>
void later(const std::shared_ptr<Service>& service, Call call, Work work) {
  auto waiting = std::make_shared<Call>(std::move(call));
  const auto queued = service->keys.later(
      [service, waiting, work = std::move(work)] { work(*service, *waiting); });
  if (queued) return;
  constexpr unsigned kRetrySeconds = 5;
  answer_fault(*waiting, Error{Errc::resource_exhausted,
                               say(waiting->language, TextId::busy, kRetrySeconds)});
}

}  // namespace

void set_up(const std::shared_ptr<Service>& service, Call call) {
  auto claim = read_claim(call);
  if (!claim) return answer_fault(call, claim.error());
  later(service, std::move(call), [claim = *std::move(claim)](Service& parts, const Call& waiting) {
    auto created = parts.keys.claim(claim.token, claim.name);
    if (!created) return answer_fault(waiting, in_words(waiting, created.error()));
    answer_created(waiting, *created);
  });
}

void create_key(const std::shared_ptr<Service>& service, Call call) {
  auto key = read_key(call);
  if (!key) return answer_fault(call, key.error());
  later(service, std::move(call), [key = *std::move(key)](Service& parts, const Call& waiting) {
    const auto created = parts.keys.create(key);
    if (!created) return answer_fault(waiting, created.error());
    answer_created(waiting, *created);
  });
}

void list_keys(const std::shared_ptr<Service>& service, Call call) {
  std::string out;
  JsonWriter json(out);
  json.open_object().member("object", "list").key("data").open_array();
  for (const auto& record : service->keys.list()) {
    json.open_object();
    write_record(json, record);
    json.close_object();
  }
  json.close_array().close_object();
  answer_json(call, std::move(out));
}

void revoke_key(const std::shared_ptr<Service>& service, Call call) {
  later(service, std::move(call), [](Service& parts, const Call& waiting) {
    const auto id = waiting.request.path.substr(kPath.size());
    if (const auto revoked = parts.keys.revoke(id); !revoked) {
      return answer_fault(waiting, revoked.error());
    }
    std::string out;
    JsonWriter json(out);
    json.open_object().member("object", "api_key").member("id", id).member("deleted", true);
    json.close_object();
    answer_json(waiting, std::move(out));
  });
}

}  // namespace hf::api
