#include "inference/model_source.hpp"

#include <utility>

namespace hf::inference {
namespace {

class StoredModels final : public ModelSource {
 public:
  explicit StoredModels(registry::ModelStore store) : store_(std::move(store)) {}
  [[nodiscard]] Result<std::vector<registry::ModelRecord>> list() const override {
    return store_.list();
  }

 private:
  registry::ModelStore store_;
};

}  // namespace

std::shared_ptr<const ModelSource> models_of(registry::ModelStore store) {
  return std::make_shared<StoredModels>(std::move(store));
}

}  // namespace hf::inference
