#pragma once
// One source's file, complete in the models folder but not yet registered. Used by pull.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "registry/pull.hpp"
#include "registry/source.hpp"

namespace hf::registry {

struct FetchJob {
  const Source& source;
  std::string folder = {};  ///< For partial files.
  std::string sha256 = {};  ///< Expected; empty: not known.
  std::uint64_t bytes = 0;  ///< Expected; 0: not known.
  const PullOptions& options;
  const PullEvents& events;
};

struct Fetched {
  std::string path = {};
  std::string sha256 = {};
  std::uint64_t bytes = 0;
  DigestCheck check = DigestCheck::first_use;
  std::vector<std::string> keys = {};  ///< Partial files to drop once the model is registered.
  std::vector<FileHandle> locks = {};  ///< Of those files, until then.
};

/// Errors: as pull.
Result<Fetched> fetch_source(const FetchJob& job);

}  // namespace hf::registry
