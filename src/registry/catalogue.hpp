#pragma once
// The models that `pull` knows by name. Read from packaging/catalogue.json and, where set, a file
// of the organisation's own. Immutable after loading: any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf::registry {

struct CatalogueEntry {
  std::string name = {};
  std::vector<std::string> aliases = {};
  std::string title_en = {};
  std::string title_zh = {};
  std::string kind = {};    ///< As ModelRecord::kind.
  std::string file = {};    ///< The file's own name.
  std::uint64_t bytes = 0;  ///< 0: nobody measured it.
  std::string sha256 = {};  ///< Empty: nobody measured it; the first pull is trusted.
  std::string licence = {};
  std::string licence_address = {};
  bool needs_acceptance = false;  ///< Show the licence and ask before fetching.
  bool is_default = false;
  std::vector<std::string> sources = {};  ///< Tried in this order.
};

class Catalogue {
 public:
  /// Later files win: an entry replaces one of the same name. `texts` are JSON documents.
  /// Errors: data_corrupt, with the entry and field at fault.
  static Result<Catalogue> parse(const std::vector<std::string>& texts);
  /// Errors: also not_found, a named file is missing. Empty paths are left out.
  static Result<Catalogue> load(const std::vector<std::string>& paths);
  [[nodiscard]] const std::vector<CatalogueEntry>& entries() const { return entries_; }
  /// By name or alias, in any letter case; null: not known.
  [[nodiscard]] const CatalogueEntry* find(std::string_view name) const;
  /// The entry marked as default; null: none is.
  [[nodiscard]] const CatalogueEntry* default_entry() const;

 private:
  Result<void> merge(const std::string& text);
  std::vector<CatalogueEntry> entries_ = {};
};

}  // namespace hf::registry
