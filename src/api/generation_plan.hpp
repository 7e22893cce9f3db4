#pragma once
// A checked generation request, the same for every endpoint: what is asked of the model, and what
// can only be settled once the model's chat template is known. A value.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/service.hpp"
#include "chat/output_parser.hpp"
#include "wire/messages.hpp"

namespace hf::api {

struct ToolPlan {
  std::string tools_json = {};  ///< OpenAI's array; empty: none are offered.
  chat::ToolChoice choice = chat::ToolChoice::automatic;
  std::string named = {};
  bool parallel = true;
  [[nodiscard]] bool offered() const { return !tools_json.empty(); }
  [[nodiscard]] bool forced() const {
    return offered() && (choice == chat::ToolChoice::required || choice == chat::ToolChoice::named);
  }
};

struct GenerationPlan {
  std::string id = {};  ///< The answer's, "chatcmpl-...".
  std::string model = {};
  bool stream = false;
  wire::Generate request = {};             ///< All but the prompt.
  std::vector<wire::Prompt> prompts = {};  ///< One generation each; choices follow by prompt.
  ToolPlan tools = {};
  [[nodiscard]] bool chat() const { return prompts.front().kind == wire::PromptKind::chat; }
};

}  // namespace hf::api
