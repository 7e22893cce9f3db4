#pragma once
// Adapters of one engine by name. One that is unloaded or replaced stays in the runner until no
// request uses it. Used by engine_service. Threads: engine thread only.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "runtime/scheduler.hpp"

namespace hf::runtime {

class AdapterShelf {
 public:
  /// Both must outlive the shelf.
  AdapterShelf(Runner& runner, Scheduler& scheduler) : runner_(runner), scheduler_(scheduler) {}

  /// New requests with this name use the file from now on. Errors: as Runner::load_adapter.
  Result<void> load(const std::string& name, const std::string& path, float scale);
  /// False: there is no such adapter.
  bool unload(std::string_view name);
  [[nodiscard]] std::optional<AdapterId> find(std::string_view name) const;
  /// True while requests with this id can be computed.
  [[nodiscard]] bool usable(AdapterId adapter) const;
  /// Frees what was unloaded and is not used any more.
  void sweep();

 private:
  Runner& runner_;
  Scheduler& scheduler_;
  std::vector<std::pair<std::string, AdapterId>> adapters_ = {};
  std::vector<AdapterId> retired_ = {};
};

}  // namespace hf::runtime
