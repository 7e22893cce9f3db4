#include "api/responses_writer.hpp"

#include <format>
#include <iterator>
#include <utility>

#include "api/chat_writer.hpp"
#include "api/json_writer.hpp"
#include "api/responses_items.hpp"

namespace hf::api {
namespace {

void append_logprobs(std::string& out, std::span<const wire::TokenLogprob> entries) {
  for (const auto& entry : entries) {
    if (!out.empty()) out.push_back(',');
    append_token_logprob(out, entry);
  }
}

class ResponsesWriter final : public AnswerWriter {
 public:
  explicit ResponsesWriter(ResponsesForm form) : form_(std::move(form)) {}

  void begin(const Transcript& transcript, std::string& out) override {
    write_state(transcript, "response.created", {}, out);
    write_state(transcript, "response.in_progress", {}, out);
  }

  void add(const Transcript& transcript, const Piece& piece, std::string& out) override {
    const auto& delta = piece.delta;
    if (!delta.reasoning.empty()) {
      open_item(transcript, ItemKind::reasoning, out);
      write_delta(delta.reasoning, {}, out);
    }
    if (!delta.content.empty()) {
      open_item(transcript, ItemKind::message, out);
      write_delta(delta.content, piece.logprobs, out);
    }
    for (const auto& call : delta.tool_calls) {
      if (!call.id.empty()) open_call(transcript, call, out);
      if (!call.arguments.empty()) write_delta(call.arguments, {}, out);
    }
  }

  void close(const Transcript& transcript, std::uint32_t choice, std::string& out) override {
    const bool cut = finish_reason(transcript.choices[choice]) == "length";
    if (items_ == 0 && item_.kind == ItemKind::none) open_item(transcript, ItemKind::message, out);
    close_item(cut ? "incomplete" : "completed", out);
  }

  void end(const Transcript& transcript, std::string& out) override {
    const bool cut = finish_reason(transcript.choices[0]) == "length";
    write_state(
        transcript, cut ? "response.incomplete" : "response.completed",
        {.status = cut ? "incomplete" : "completed", .output = output_, .usage = &transcript.usage},
        out);
  }

  void fail(const Transcript& transcript, const Fault& fault, std::string& out) override {
    close_item("incomplete", out);
    write_state(transcript, "response.failed",
                {.status = "failed", .output = output_, .fault = &fault}, out);
  }

  void whole(const Transcript& transcript, std::string& out) override {
    const auto& choice = transcript.choices[0];
    const bool cut = finish_reason(choice) == "length";
    const std::string_view status = cut ? "incomplete" : "completed";
    if (!choice.reasoning.empty()) {
      add_whole(transcript, {.kind = ItemKind::reasoning, .text = choice.reasoning}, status);
    }
    if (!choice.content.empty() || choice.calls.empty()) {
      ResponseItem message{.kind = ItemKind::message, .text = choice.content};
      append_logprobs(message.logprobs, choice.logprobs);
      add_whole(transcript, std::move(message), status);
    }
    for (const auto& call : choice.calls) {
      add_whole(
          transcript,
          {.kind = ItemKind::call, .text = call.arguments, .call_id = call.id, .name = call.name},
          status);
    }
    append_response(out, transcript, form_,
                    {.status = status, .output = output_, .usage = &transcript.usage});
  }

 private:
  // Start of an event up to its own members.
  void open_event(std::string_view type, std::string& out) {
    std::format_to(std::back_inserter(out),
                   "event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1}", type,
                   sequence_++);
  }
  static void close_event(std::string& out) { out += "}\n\n"; }

  void write_state(const Transcript& transcript, std::string_view type, const ResponseState& state,
                   std::string& out) {
    open_event(type, out);
    out += R"(,"response":)";
    append_response(out, transcript, form_, state);
    close_event(out);
  }

  [[nodiscard]] std::string place() const {
    return std::format(R"(,"item_id":"{}","output_index":{})", item_.id, items_);
  }
  [[nodiscard]] bool has_parts() const { return item_.kind != ItemKind::call; }

  void open_item(const Transcript& transcript, ItemKind kind, std::string& out) {
    if (item_.kind == kind) return;
    close_item("completed", out);
    begin_item(transcript, {.kind = kind}, out);
  }

  void open_call(const Transcript& transcript, const chat::ToolCallDelta& call, std::string& out) {
    close_item("completed", out);
    begin_item(transcript, {.kind = ItemKind::call, .call_id = call.id, .name = call.name}, out);
  }

  void begin_item(const Transcript& transcript, ResponseItem item, std::string& out) {
    item_ = std::move(item);
    item_.id = item_id(item_.kind, transcript.id, items_);
    write_item("response.output_item.added", "in_progress", out);
    std::string_view type = "response.function_call_arguments.delta";
    if (has_parts()) {
      write_part("response.content_part.added", out);
      type = item_.kind == ItemKind::message ? "response.output_text.delta"
                                             : "response.reasoning_text.delta";
    }
    delta_start_ =
        std::format("event: {0}\ndata: {{\"type\":\"{0}\"{1}{2},\"sequence_number\":", type,
                    place(), has_parts() ? R"(,"content_index":0)" : "");
  }

  void write_item(std::string_view type, std::string_view status, std::string& out) {
    open_event(type, out);
    std::format_to(std::back_inserter(out), R"(,"output_index":{},"item":)", items_);
    append_item(out, item_, status);
    close_event(out);
  }

  void write_part(std::string_view type, std::string& out) {
    open_event(type, out);
    out += place() + R"(,"content_index":0,"part":)";
    append_part(out, item_);
    close_event(out);
  }

  void write_delta(std::string_view text, std::span<const wire::TokenLogprob> logprobs,
                   std::string& out) {
    item_.text += text;
    out += delta_start_;
    std::format_to(std::back_inserter(out), "{}", sequence_++);
    out += R"(,"delta":)";
    append_json_string(out, text);
    if (item_.kind == ItemKind::message) {
      std::string entries;
      if (form_.logprobs) append_logprobs(entries, logprobs);
      if (!entries.empty() && !item_.logprobs.empty()) item_.logprobs.push_back(',');
      item_.logprobs += entries;
      out += R"(,"logprobs":[)" + entries + "]";
    }
    close_event(out);
  }

  void close_item(std::string_view status, std::string& out) {
    if (item_.kind == ItemKind::none) return;
    write_done(out);
    if (has_parts()) write_part("response.content_part.done", out);
    write_item("response.output_item.done", status, out);
    keep_item(status);
  }

  void write_done(std::string& out) {
    const bool message = item_.kind == ItemKind::message;
    open_event(message       ? "response.output_text.done"
               : has_parts() ? "response.reasoning_text.done"
                             : "response.function_call_arguments.done",
               out);
    out += place();
    if (has_parts()) {
      out += R"(,"content_index":0,"text":)";
    } else {
      out += R"(,"name":)";
      append_json_string(out, item_.name);
      out += R"(,"arguments":)";
    }
    append_json_string(out, item_.text);
    if (message) out += R"(,"logprobs":[)" + item_.logprobs + "]";
    close_event(out);
  }

  void add_whole(const Transcript& transcript, ResponseItem item, std::string_view status) {
    item_ = std::move(item);
    item_.id = item_id(item_.kind, transcript.id, items_);
    keep_item(status);
  }

  void keep_item(std::string_view status) {
    if (items_++ > 0) output_.push_back(',');
    append_item(output_, item_, status);
    item_ = {};
  }

  ResponsesForm form_;
  std::uint64_t sequence_ = 0;
  std::size_t items_ = 0;         // Finished ones; the index of the open one.
  std::string output_ = {};       // Finished items.
  ResponseItem item_ = {};        // The open one.
  std::string delta_start_ = {};  // Of the open item's deltas, up to the sequence number.
};

}  // namespace

std::unique_ptr<AnswerWriter> make_responses_writer(ResponsesForm form) {
  return std::make_unique<ResponsesWriter>(std::move(form));
}

}  // namespace hf::api
