#pragma once
// Where the pool learns of models: the registry in the server, a list in tests.

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "registry/model_store.hpp"

namespace hf::inference {

/// Threads: any. May read small files; is asked when a model is loaded or listed, not per token.
class ModelSource {
 public:
  virtual ~ModelSource() = default;
  [[nodiscard]] virtual Result<std::vector<registry::ModelRecord>> list() const = 0;
};

/// The registry's folder as a source.
std::shared_ptr<const ModelSource> models_of(registry::ModelStore store);

}  // namespace hf::inference
