#pragma once
// The sentences this module says to callers, in English and Chinese. Any thread.

#include <cstdint>
#include <format>
#include <optional>
#include <string>
#include <string_view>

#include "api/json.hpp"

namespace hf::api {

enum class Language : std::uint8_t { english, chinese };

/// The language an Accept-Language header prefers among ours; English if it names neither.
Language preferred_language(std::string_view accept_language);

enum class TextId : std::uint8_t {
  unknown_path, wrong_method, body_empty, body_not_object, bad_json, busy, shutting_down,
  key_missing, key_unknown, key_expired, key_store_broken, no_permission, priority_refused,
  setup_token_bad, setup_done,
  unknown_field, missing_field, not_supported, not_supported_value, deprecated_field,
  want_string, want_number, want_integer, want_boolean, want_array, want_object, want_one_of,
  want_string_or_list, out_of_range, too_long_list, empty_list, too_long_text, empty_text,
  bad_name, bad_token_key, tool_choice_needs_tools, unknown_tool, duplicate_tool, no_chat_template,
  top_logprobs_needs_logprobs, one_constraint, tools_and_format, echo_needs_text, echo_no_logprobs,
  no_such_role, only_text_parts, media_part, message_needs_content, last_user_message,
  model_missing, no_embeddings, no_rerank, no_generation, wrong_dimensions, schema_missing,
  unknown_item, stream_options_need_stream, cannot_store, not_both, too_slow,
  kwargs_conflict,
};

inline constexpr auto kLastText = TextId::kwargs_conflict;

/// The pattern, with {0}, {1} ... for arguments.
std::string_view pattern(Language language, TextId id);

template <class... Args>
std::string say(Language language, TextId id, const Args&... args) {
  return std::vformat(pattern(language, id), std::make_format_args(args...));
}

/// What is wrong with a JSON text, without the place.
std::string_view trouble_text(Language language, JsonTrouble trouble);

}  // namespace hf::api
