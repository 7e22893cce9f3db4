#include "registry/pull.hpp"

#include <algorithm>
#include <ctime>
#include <format>
#include <optional>

#include <fcntl.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "registry/fetch_source.hpp"
#include "registry/file_io.hpp"
#include "registry/gguf_header.hpp"

namespace hf::registry {
namespace {

// What is wanted, with catalogue entry and address brought to one form.
struct Order {
  std::string name = {};
  std::string sha256 = {};
  std::uint64_t bytes = 0;
  std::string licence = {};
  std::string kind = {};
  std::vector<Source> sources = {};
  const CatalogueEntry* entry = nullptr;
};

Result<Order> order_for(const Catalogue& catalogue, std::string_view what,
                        const PullOptions& options) {
  Order order{.name = options.name, .sha256 = options.sha256, .licence = options.licence};
  if (looks_like_source(what)) {
    order.sources.push_back(HF_TRY(parse_source(what)));
    if (order.name.empty())
      order.name = model_name_from_file(source_file_name(order.sources.front()));
  } else {
    order.entry = catalogue.find(what);
    if (order.entry == nullptr) {
      std::string names;
      for (const auto& entry : catalogue.entries())
        names += (names.empty() ? "" : ", ") + entry.name;
      return fail(
          Errc::not_found,
          std::format("The catalogue has no model '{}'; it has: {}. An address works too, such as "
                      "hf:owner/repo/file.gguf.",
                      what, names));
    }
    for (const auto& text : order.entry->sources)
      order.sources.push_back(HF_TRY(parse_source(text)));
    if (order.name.empty()) order.name = order.entry->name;
    order.sha256 = order.entry->sha256;
    order.bytes = order.entry->bytes;
    order.licence = order.entry->licence;
    order.kind = order.entry->kind;
  }
  if (!valid_model_name(order.name)) {
    return fail(Errc::invalid_argument,
                std::format("'{}' cannot be a model's name; give one of a-z, 0-9, '.', '_', '-'.",
                            order.name));
  }
  return order;
}

// The model under that name, if it is the one wanted. Errors: already_exists, it is another.
Result<std::optional<ModelRecord>> present(const ModelStore& store, const Order& order) {
  auto found = store.find(order.name);
  if (!found) return std::optional<ModelRecord>();  // Missing or damaged: both mean fetching it.
  const bool same_source = std::ranges::any_of(
      order.sources, [&](const auto& source) { return source.text == found->source; });
  const bool same =
      order.sha256.empty() ? same_source || order.entry != nullptr : order.sha256 == found->digest;
  if (same) return std::optional(*std::move(found));
  return fail(
      Errc::already_exists,
      std::format(
          "There is another model named '{}' (from {}); remove it first or give another name.",
          order.name, found->source));
}

Result<void> ask_for_licence(const Order& order, const PullEvents& events) {
  if (order.entry == nullptr || !order.entry->needs_acceptance) return {};
  if (events.accept_licence && events.accept_licence(*order.entry)) return {};
  return fail(
      Errc::permission_denied,
      std::format(
          "The licence of {} ({}, {}) was not accepted; read it and accept it to pull this model.",
          order.entry->name, order.licence, order.entry->licence_address));
}

// Some earlier run, or another name, may have brought the very file.
Result<bool> have_blob(const ModelStore& store, const Order& order) {
  const auto path = store.blob_path(order.sha256);
  if (order.sha256.empty() || ::access(path.c_str(), R_OK) != 0) return false;
  const auto file = HF_TRY(open_file(path, O_RDONLY, "read the model file"));
  Sha256 digest;
  HF_TRY_VOID(read_through(file, path, [&](std::string_view piece) -> Result<void> {
    digest.update(piece);
    return {};
  }));
  return digest.hex() == order.sha256;
}

ModelRecord record_of(const Order& order, const GgufHeader& header, std::string source) {
  const auto kind = model_kind(header);
  return {.name = order.name,
          .bytes = header.file_bytes,
          .licence = order.licence.empty() ? header.licence : order.licence,
          .source = std::move(source),
          .added = std::time(nullptr),
          .kind = order.kind.empty() ? kind : order.kind,
          .base = header.base_model};
}

Result<Pulled> pull_from(ModelStore& store, const Order& order, const Source& source,
                         const PullOptions& options, const PullEvents& events) {
  const auto fetched = HF_TRY(fetch_source({.source = source,
                                            .folder = store.blobs_folder(),
                                            .sha256 = order.sha256,
                                            .bytes = order.bytes,
                                            .options = options,
                                            .events = events}));
  const auto drop_all = [&] {
    for (const auto& key : fetched.keys) drop_partial(store.blobs_folder(), key);
  };
  const auto header = read_gguf_header(fetched.path);
  if (!header) {
    drop_all();
    return std::unexpected(header.error());
  }
  auto record = record_of(order, *header, source.text);
  record.digest = fetched.sha256;
  HF_TRY_VOID(store.adopt(fetched.path, record));
  drop_all();
  record.path = store.blob_path(record.digest);
  return Pulled{.record = std::move(record),
                .check = fetched.check,
                .already_there = false,
                .bytes_fetched = fetched.bytes};
}

// Another source would meet the same.
bool ends_the_search(Errc code) {
  return code == Errc::cancelled || code == Errc::resource_exhausted ||
         code == Errc::failed_precondition || code == Errc::already_exists ||
         code == Errc::internal;
}

Error all_failed(const Order& order, const std::vector<Error>& errors) {
  if (errors.size() == 1) return errors.front();
  Error error{errors.front().code, std::format("No source of {} worked:", order.name)};
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if (errors[i].code != error.code) error.code = Errc::unavailable;
    error.message +=
        std::format(" {}) {}: {}", i + 1, order.sources[i].text.substr(0, 80), errors[i].message);
    if (!errors[i].detail.empty()) error.detail += std::format("{}) {}; ", i + 1, errors[i].detail);
  }
  return error;
}

}  // namespace

Result<Pulled> pull(ModelStore& store, const Catalogue& catalogue, std::string_view what,
                    const PullOptions& options, const PullEvents& events) {
  const auto order = HF_TRY(order_for(catalogue, what, options));
  if (auto there = HF_TRY(present(store, order))) {
    const auto check = order.sha256.empty() ? DigestCheck::first_use : DigestCheck::expected;
    return Pulled{.record = *std::move(there), .check = check, .already_there = true};
  }
  HF_TRY_VOID(ask_for_licence(order, events));
  if (HF_TRY(have_blob(store, order))) {
    const auto header = HF_TRY(read_gguf_header(store.blob_path(order.sha256)));
    auto record = record_of(order, header, order.sources.front().text);
    record.digest = order.sha256;
    HF_TRY_VOID(store.add(record));
    record.path = store.blob_path(order.sha256);
    return Pulled{
        .record = std::move(record), .check = DigestCheck::expected, .already_there = true};
  }
  std::vector<Error> errors;
  for (const auto& source : order.sources) {
    auto pulled = pull_from(store, order, source, options, events);
    if (pulled) return pulled;
    if (ends_the_search(pulled.error().code)) return pulled;
    errors.push_back(std::move(pulled).error());
    if (errors.size() < order.sources.size() && events.on_note) {
      events.on_note(std::format("{} Trying the next source.", errors.back().message));
    }
  }
  return std::unexpected(all_failed(order, errors));
}

}  // namespace hf::registry
