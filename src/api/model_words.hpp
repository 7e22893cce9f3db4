#pragma once
// Names for a model's state and kind in answers. Any thread.

#include <string_view>

#include "inference/inference.hpp"

namespace hf::api {

/// "unloaded", "loading", "ready" or "failed".
std::string_view state_word(inference::ModelState state);
/// "chat", "embedding" or "rerank", as registered or else as loaded; empty: not known yet.
std::string_view kind_word(const inference::ModelStatus& model);

}  // namespace hf::api
