#pragma once
// Fetches a model by catalogue name or address, checks it and registers it. Used by the command
// line and the quick start. Any thread; blocks until done.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "registry/catalogue.hpp"
#include "registry/download.hpp"
#include "registry/model_store.hpp"
#include "registry/pip_config.hpp"

namespace hf::registry {

struct PullOptions {
  std::string name = {};  ///< To register under; empty: the catalogue's, else from the file's name.
  std::string licence = {};  ///< For addresses; empty: what the file says.
  std::string sha256 = {};   ///< Expected, for addresses; empty: not known.
  HttpSettings http = {};    ///< ca_file empty: SSL_CERT_FILE or CURL_CA_BUNDLE, else the system's.
  Environment environment = process_environment();
  /// Free bytes in a folder; empty: asks the file system.
  std::function<Result<std::uint64_t>(const std::string&)> free_bytes = {};
};

struct PullEvents : PullWatch {
  /// Shows name, licence and its address, and asks. Empty: entries that need acceptance are
  /// refused.
  std::function<bool(const CatalogueEntry&)> accept_licence = {};
};

/// What the file's digest was compared with.
enum class DigestCheck : unsigned char {
  expected,   ///< The catalogue's digest, or the one given.
  origin,     ///< What the source itself says (hub, package index): guards against damage only.
  first_use,  ///< Nothing: the digest seen is recorded.
};

struct Pulled {
  ModelRecord record = {};
  DigestCheck check = DigestCheck::expected;
  bool already_there = false;
  std::uint64_t bytes_fetched = 0;  ///< The model's size, or 0 if it was there.
};

/// `what`: a catalogue name or alias, or a source (see source.hpp). Sources of an entry are tried
/// in order; a second call after any failure or kill goes on where the first stopped. Errors:
/// not_found, no such name, with the known ones; permission_denied, licence not accepted;
/// already_exists, the name belongs to another file; cancelled; resource_exhausted, no space;
/// otherwise the failures of all sources in one message.
Result<Pulled> pull(ModelStore& store, const Catalogue& catalogue, std::string_view what,
                    const PullOptions& options, const PullEvents& events);

}  // namespace hf::registry
