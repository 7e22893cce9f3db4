#pragma once
// Writes answers as OpenAI's chat.completion and chat.completion.chunk. One thread at a time.

#include <memory>
#include <string>
#include <vector>

#include "api/transcript.hpp"

namespace hf::api {

struct ChatForm {
  bool logprobs = false;
  bool include_usage = false;
};

std::unique_ptr<AnswerWriter> make_chat_writer(const ChatForm& form);

/// One entry of logprobs.content: token, logprob, bytes, top_logprobs.
void append_token_logprob(std::string& out, const wire::TokenLogprob& entry);

}  // namespace hf::api
