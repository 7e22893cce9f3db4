#pragma once
// Writes answers as OpenAI's text_completion, whole and in chunks. One thread at a time.

#include <memory>
#include <string>
#include <vector>

#include "api/transcript.hpp"

namespace hf::api {

struct CompletionForm {
  bool logprobs = false;
  bool include_usage = false;
  std::vector<std::string> echoes = {};  ///< Text before a prompt's choices; empty: none.
  std::uint32_t choices_per_prompt = 1;
};

std::unique_ptr<AnswerWriter> make_completion_writer(CompletionForm form);

}  // namespace hf::api
