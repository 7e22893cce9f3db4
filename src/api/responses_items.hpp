#pragma once
// Output items of a response, and the response object around them, as JSON text. Pure.

#include <string>
#include <string_view>

#include "api/responses_form.hpp"
#include "api/transcript.hpp"

namespace hf::api {

enum class ItemKind : std::uint8_t { none, reasoning, message, call };

struct ResponseItem {
  ItemKind kind = ItemKind::none;
  std::string id = {};
  std::string text = {};      ///< Reasoning, message or arguments.
  std::string call_id = {};   ///< Of calls.
  std::string name = {};      ///< Of calls.
  std::string logprobs = {};  ///< Of messages: JSON objects with commas.
};

/// "msg_...", "rs_..." or "fc_...", from the response's id.
std::string item_id(ItemKind kind, std::string_view response_id, std::size_t index);
/// `status`: "in_progress", which has no content yet, "completed" or "incomplete".
void append_item(std::string& out, const ResponseItem& item, std::string_view status);
/// The only content part of reasoning and messages.
void append_part(std::string& out, const ResponseItem& item);

struct ResponseState {
  std::string_view status = "in_progress";
  std::string_view output = {};       ///< JSON items with commas.
  const TokenUsage* usage = nullptr;  ///< Null: not known yet.
  const Fault* fault = nullptr;
};

void append_response(std::string& out, const Transcript& transcript, const ResponsesForm& form,
                     const ResponseState& state);

}  // namespace hf::api
