#pragma once
// Writes answers as OpenAI's response object and its stream of typed events. One thread at a time.

#include <memory>

#include "api/responses_form.hpp"
#include "api/transcript.hpp"

namespace hf::api {

std::unique_ptr<AnswerWriter> make_responses_writer(ResponsesForm form);

}  // namespace hf::api
