#include "registry/catalogue.hpp"

#include <algorithm>
#include <format>

#include <nlohmann/json.hpp>

#include "registry/file_io.hpp"
#include "registry/model_store.hpp"
#include "registry/source.hpp"

namespace hf::registry {
namespace {

using nlohmann::json;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::unexpected<Error> bad(std::string_view entry, std::string_view what) {
  return fail(Errc::data_corrupt,
              std::format("Catalogue entry '{}': {}; correct the file.", entry, what));
}

std::string text(const json& entry, const char* field) {
  const auto found = entry.find(field);
  return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> texts(const json& entry, const char* field) {
  std::vector<std::string> out;
  const auto found = entry.find(field);
  if (found == entry.end() || !found->is_array()) return out;
  for (const auto& item : *found) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

bool flag(const json& entry, const char* field) {
  const auto found = entry.find(field);
  return found != entry.end() && found->is_boolean() && found->get<bool>();
}

Result<CatalogueEntry> read_entry(const json& json_entry) {
  if (!json_entry.is_object()) return bad("?", "it is not an object");
  CatalogueEntry entry{.name = text(json_entry, "name"),
                       .aliases = texts(json_entry, "aliases"),
                       .kind = text(json_entry, "kind"),
                       .file = text(json_entry, "file"),
                       .sha256 = text(json_entry, "sha256"),
                       .licence = text(json_entry, "licence"),
                       .licence_address = text(json_entry, "licence_url"),
                       .needs_acceptance = flag(json_entry, "needs_acceptance"),
                       .is_default = flag(json_entry, "default"),
                       .sources = texts(json_entry, "sources")};
  if (!valid_model_name(entry.name))
    return bad(entry.name, "the name is missing or has odd characters");
  if (const auto title = json_entry.find("title");
      title != json_entry.end() && title->is_object()) {
    entry.title_en = text(*title, "en");
    entry.title_zh = text(*title, "zh");
  }
  if (const auto bytes = json_entry.find("bytes"); bytes != json_entry.end()) {
    if (!bytes->is_number_unsigned()) return bad(entry.name, "'bytes' is no whole number");
    entry.bytes = bytes->get<std::uint64_t>();
  }
  const bool digest_ok = entry.sha256.empty() ||
                         (entry.sha256.size() == 64 &&
                          entry.sha256.find_first_not_of("0123456789abcdef") == std::string::npos);
  if (!digest_ok) return bad(entry.name, "'sha256' is not 64 lower-case hex digits");
  if (entry.sources.empty()) return bad(entry.name, "it has no source");
  for (const auto& source : entry.sources) {
    if (const auto parsed = parse_source(source); !parsed)
      return bad(entry.name, parsed.error().message);
  }
  return entry;
}

}  // namespace

Result<Catalogue> Catalogue::parse(const std::vector<std::string>& texts) {
  Catalogue catalogue;
  for (const auto& one : texts) HF_TRY_VOID(catalogue.merge(one));
  return catalogue;
}

Result<Catalogue> Catalogue::load(const std::vector<std::string>& paths) {
  Catalogue catalogue;
  for (const auto& path : paths) {
    if (path.empty()) continue;
    auto merged = catalogue.merge(HF_TRY(read_small_file(path, 4U << 20U)));
    if (!merged) {
      merged.error().detail = path;
      return std::unexpected(merged.error());
    }
  }
  return catalogue;
}

Result<void> Catalogue::merge(const std::string& text) {
  const auto document = json::parse(text, nullptr, false);
  const auto* models =
      document.is_object() && document.contains("models") ? &document["models"] : nullptr;
  if (models == nullptr || !models->is_array()) {
    return fail(Errc::data_corrupt,
                "The catalogue is not a JSON object with a list 'models'; correct the file.");
  }
  for (const auto& json_entry : *models) {
    auto entry = HF_TRY(read_entry(json_entry));
    if (entry.is_default) {
      for (auto& other : entries_) other.is_default = false;
    }
    const auto known = std::ranges::find(entries_, entry.name, &CatalogueEntry::name);
    if (known == entries_.end()) {
      entries_.push_back(std::move(entry));
    } else {
      *known = std::move(entry);
    }
  }
  return {};
}

const CatalogueEntry* Catalogue::find(std::string_view name) const {
  const auto wanted = lower(name);
  const auto named = std::ranges::find(entries_, wanted, &CatalogueEntry::name);
  if (named != entries_.end()) return &*named;
  for (const auto& entry : entries_) {
    if (std::ranges::any_of(entry.aliases, [&](const auto& a) { return lower(a) == wanted; }))
      return &entry;
  }
  return nullptr;
}

const CatalogueEntry* Catalogue::default_entry() const {
  const auto found = std::ranges::find_if(entries_, &CatalogueEntry::is_default);
  return found == entries_.end() ? nullptr : &*found;
}

}  // namespace hf::registry
