#pragma once
// From a checked request to a running generation: finds the model, waits until it is loaded,
// settles what depends on its chat template. Threads: any; does not block.

#include <memory>

#include "api/generation_plan.hpp"
#include "api/service.hpp"
#include "api/transcript.hpp"

namespace hf::api {

/// Answers the call in every case, now or later.
void start_generation(const std::shared_ptr<Service>& service, Call call, GenerationPlan plan,
                      std::unique_ptr<AnswerWriter> writer);

}  // namespace hf::api
