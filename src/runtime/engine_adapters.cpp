#include "runtime/engine_adapters.hpp"

#include <algorithm>

namespace hf::runtime {

Result<void> AdapterShelf::load(const std::string& name, const std::string& path, float scale) {
  const auto loaded = HF_TRY(runner_.load_adapter(path, scale));
  unload(name);
  adapters_.emplace_back(name, loaded);
  return {};
}

bool AdapterShelf::unload(std::string_view name) {
  const auto found = std::ranges::find(
      adapters_, name, [](const auto& entry) -> std::string_view { return entry.first; });
  if (found == adapters_.end()) return false;
  scheduler_.forget_cached(found->second);
  retired_.push_back(found->second);
  adapters_.erase(found);
  sweep();
  return true;
}

std::optional<AdapterId> AdapterShelf::find(std::string_view name) const {
  for (const auto& [known, id] : adapters_) {
    if (known == name) return id;
  }
  return std::nullopt;
}

bool AdapterShelf::usable(AdapterId adapter) const {
  return adapter == 0 || std::ranges::contains(retired_, adapter) ||
         std::ranges::any_of(adapters_,
                             [adapter](const auto& entry) { return entry.second == adapter; });
}

void AdapterShelf::sweep() {
  std::erase_if(retired_, [this](AdapterId adapter) {
    if (scheduler_.uses(adapter)) return false;
    // Requests that used it left their prefixes.
    scheduler_.forget_cached(adapter);
    runner_.unload_adapter(adapter);
    return true;
  });
}

}  // namespace hf::runtime
