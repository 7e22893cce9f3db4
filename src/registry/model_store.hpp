#pragma once
// Models on disk: digest-named GGUF files and a small index, shared by the CLI and the server.
// Layout of `folder`: blobs/sha256-<hex>, blobs/*.partial, manifests/<name>.json (atomic rename).

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf::registry {

struct ModelRecord {
  std::string name = {};    ///< "smollm2-135m-instruct"; [a-z0-9][a-z0-9._-]{0,95}
  std::string digest = {};  ///< SHA-256 of the file, 64 hex digits.
  std::uint64_t bytes = 0;
  std::string licence = {};  ///< SPDX id or name.
  std::string source = {};   ///< Where it came from, as given.
  std::int64_t added = 0;    ///< Unix seconds.
  std::string kind = {};     ///< "chat", "embedding", "rerank" or "adapter".
  std::string base = {};     ///< For an adapter: its model's name.
  std::string path = {};     ///< Filled on reading: absolute path of the file.
};

/// True for a name as ModelRecord has it.
bool valid_model_name(std::string_view name);
/// "Qwen3 4B-Q4_K_M.gguf" -> "qwen3-4b-q4_k_m"; empty when nothing usable is left.
std::string model_name_from_file(std::string_view file);

/// Threads: any; several processes may use one folder (a lock file orders writers).
class ModelStore {
 public:
  /// Makes the folders. Errors: failed_precondition, no right to write.
  static Result<ModelStore> open(const std::string& folder);
  [[nodiscard]] Result<std::vector<ModelRecord>> list() const;
  /// Errors: not_found, with the names there are.
  [[nodiscard]] Result<ModelRecord> find(std::string_view name) const;
  /// Registers a finished blob. Errors: already_exists under another digest; invalid_argument,
  /// name.
  Result<void> add(const ModelRecord& record);
  /// Removes the name and, if no other name uses it, the file. Errors: not_found.
  Result<void> remove(std::string_view name);
  /// Checks, hashes and copies (or links, on one file system) a GGUF file in, then registers it.
  Result<ModelRecord> import_file(const std::string& path, std::string name, std::string licence);
  /// Moves a complete, checked file (on the same file system) in as `record`'s blob and registers
  /// it in one step for other processes. Errors: as add; the file stays where it is then.
  Result<void> adopt(const std::string& path, const ModelRecord& record);
  /// Removes what crashes left: unlocked partial files older than two weeks, files that no name
  /// uses and are older than an hour. Gives the bytes freed.
  Result<std::uint64_t> collect_garbage();
  [[nodiscard]] std::string blob_path(std::string_view digest) const;
  [[nodiscard]] std::string blobs_folder() const { return folder_ + "/blobs"; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  Result<void> check_addable(const ModelRecord& record) const;
  Result<void> write_manifest(const ModelRecord& record);
  explicit ModelStore(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace hf::registry
