#include "api/message_fields.hpp"

#include <algorithm>
#include <array>

namespace hf::api {
namespace {

constexpr std::size_t kQuotedMax = 64;
constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};
constexpr std::array<std::string_view, 4> kTextParts = {"text", "input_text", "output_text",
                                                        "refusal"};
constexpr std::array<std::string_view, 9> kMediaParts = {
    "image_url", "input_image", "image", "input_audio", "audio_url",
    "video_url", "input_video", "file",  "input_file"};

void check_part(Fields& fields, const std::string& place, Json part) {
  Fields inner(part, place, fields.language());
  inner.require("type");
  const auto type = inner.take("type", JsonKind::string);
  if (!inner.good()) return fields.merge(inner);
  const auto name = type.text();
  if (std::ranges::contains(kMediaParts, name)) {
    inner.fail("", TextId::media_part, name);
  } else if (!std::ranges::contains(kTextParts, name)) {
    inner.fail("", TextId::only_text_parts, name.substr(0, kQuotedMax));
  }
  const auto key = name == "refusal" ? name : std::string_view("text");
  inner.require(key);
  inner.take(key, JsonKind::string);
  inner.accept({"annotations", "logprobs", "cache_control"});
  fields.merge(inner);
}

void check_call(Fields& message, const std::string& place, Json call) {
  Fields outer(call, place, message.language());
  outer.accept({"id", "index"});
  outer.word("type", {"function"});
  outer.require("function");
  if (const auto function = outer.take("function"); outer.good()) {
    Fields inner(function, outer.path("function"), message.language());
    inner.require("name");
    inner.take("name", JsonKind::string);
    inner.accept({"arguments"});
    outer.merge(inner);
  }
  message.merge(outer);
}

void check_calls(Fields& message) {
  const auto calls = message.take("tool_calls", JsonKind::array);
  std::size_t index = 0;
  for (const auto call : calls) {
    check_call(message, message.path(item_path("tool_calls", index++)), call);
  }
}

void check_content(Fields& message, std::string_view role) {
  const auto content = message.take("content");
  if (!message.good()) return;
  if (content.is(JsonKind::array)) {
    check_parts(message, "content", content);
  } else if (content && !content.is(JsonKind::string)) {
    message.fail("content", TextId::want_string);
  } else if (!content && role != "assistant") {
    message.fail("content", TextId::message_needs_content);
  }
}

void check_message(Fields& fields, const std::string& place, Json item) {
  Fields message(item, place, fields.language());
  message.require("role");
  const auto role = message.take("role", JsonKind::string);
  if (!message.good()) return fields.merge(message);
  if (!std::ranges::contains(kRoles, role.text())) {
    message.fail("role", TextId::no_such_role, role.text().substr(0, kQuotedMax));
  }
  check_content(message, role.text());
  check_calls(message);
  message.take("name", JsonKind::string);
  message.take("tool_call_id", JsonKind::string);
  message.accept({"refusal", "reasoning_content", "reasoning", "annotations"});
  message.unsupported({"audio", "function_call"});
  fields.merge(message);
}

}  // namespace

void check_parts(Fields& fields, std::string_view name, Json parts) {
  std::size_t index = 0;
  for (const auto part : parts) {
    check_part(fields, fields.path(item_path(name, index++)), part);
  }
}

std::string read_messages(Fields& fields) {
  fields.require("messages");
  const auto list = fields.take("messages", JsonKind::array);
  if (!fields.good()) return {};
  if (list.size() == 0) {
    fields.fail("messages", TextId::last_user_message);
    return {};
  }
  std::size_t index = 0;
  for (const auto item : list) {
    check_message(fields, item_path("messages", index++), item);
    if (!fields.good()) return {};
  }
  return std::string(list.raw());
}

}  // namespace hf::api
