#include "api/model_words.hpp"

namespace hf::api {

std::string_view state_word(inference::ModelState state) {
  switch (state) {
    case inference::ModelState::unloaded: return "unloaded";
    case inference::ModelState::loading: return "loading";
    case inference::ModelState::ready: return "ready";
    case inference::ModelState::failed: return "failed";
  }
  return {};
}

std::string_view kind_word(const inference::ModelStatus& model) {
  if (!model.kind.empty()) return model.kind;
  if (model.ready.reranks != 0) return "rerank";
  if (model.ready.generates != 0) return "chat";
  return model.ready.embeds != 0 ? "embedding" : std::string_view();
}

}  // namespace hf::api
