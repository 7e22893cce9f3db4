#include "api/transcript.hpp"

#include "api/json_writer.hpp"

namespace hf::api {

std::string_view finish_reason(const TranscriptChoice& choice) {
  switch (choice.reason) {
    case wire::FinishReason::length:
    case wire::FinishReason::deadline:
      return "length";
    case wire::FinishReason::stop:
    case wire::FinishReason::cancelled:
      break;
  }
  return choice.calls.empty() ? "stop" : "tool_calls";
}

void append_usage(std::string& out, const TokenUsage& usage) {
  JsonWriter json(out);
  json.open_object();
  json.member("prompt_tokens", usage.prompt).member("completion_tokens", usage.completion);
  json.member("total_tokens", usage.prompt + usage.completion);
  json.key("prompt_tokens_details").open_object().member("cached_tokens", usage.cached);
  json.close_object().key("completion_tokens_details").open_object();
  json.member("reasoning_tokens", usage.reasoning).close_object().close_object();
}

void append_stream_end(std::string& out, std::string_view head, const TokenUsage* usage) {
  if (usage != nullptr) {
    out += head;
    out += R"("choices":[],"usage":)";
    append_usage(out, *usage);
    out += "}\n\n";
  }
  out += "data: [DONE]\n\n";
}

void append_stream_fault(std::string& out, const Fault& fault) {
  out += "data: ";
  out += fault_json(fault);
  out += "\n\n";
}

}  // namespace hf::api
