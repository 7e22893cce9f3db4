#pragma once
// The request of /v1/completions, read and checked. Any thread.

#include <string>
#include <vector>

#include "api/fields.hpp"
#include "api/generation_plan.hpp"
#include "api/service.hpp"

namespace hf::api {

struct CompletionRequest {
  GenerationPlan plan = {};
  bool include_usage = false;
  std::vector<std::string> echoes = {};  ///< Per prompt; empty: no echo.
};

/// Each member is honoured or refused by name.
/// Faults: invalid_argument; permission_denied, the priority.
Checked<CompletionRequest> read_completion(const Service& service, const Caller& caller, Json body,
                                           Language language);

}  // namespace hf::api
