#pragma once
// What an answer of /v1/responses repeats of its request. A value.

#include <cstdint>
#include <string>

namespace hf::api {

/// Members ending in _json are JSON text.
struct ResponsesForm {
  std::string instructions_json = "null";
  std::string metadata_json = "{}";
  std::string tools_json = "[]";
  std::string tool_choice_json = "\"auto\"";
  std::string text_json = R"({"format":{"type":"text"}})";
  std::string user_json = "null";
  std::string effort = {};              ///< Empty: null.
  std::uint32_t output_tokens_max = 0;  ///< 0: null.
  float temperature = 1;
  float top_p = 1;
  std::int32_t top_logprobs = 0;
  bool logprobs = false;
  bool parallel_tool_calls = true;
};

}  // namespace hf::api
