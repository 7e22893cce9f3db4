#include "api/chat_writer.hpp"

#include <format>
#include <iterator>

#include "api/json_writer.hpp"

namespace hf::api {
namespace {

void append_bytes(JsonWriter& json, std::string_view bytes) {
  json.key("bytes").open_array();
  for (const char byte : bytes) json.value(static_cast<unsigned>(static_cast<unsigned char>(byte)));
  json.close_array();
}

void append_calls(JsonWriter& json, const std::vector<CalledTool>& calls) {
  json.key("tool_calls").open_array();
  for (const auto& call : calls) {
    json.open_object().member("id", call.id).member("type", "function");
    json.key("function").open_object();
    json.member("name", call.name).member("arguments", call.arguments);
    json.close_object().close_object();
  }
  json.close_array();
}

class ChatWriter final : public AnswerWriter {
 public:
  explicit ChatWriter(const ChatForm& form) : form_(form) {}

  void begin(const Transcript& transcript, std::string& out) override {
    head_ = "data: ";
    write_head(transcript, "chat.completion.chunk", head_);
    pending_.resize(transcript.choices.size());
    for (std::uint32_t i = 0; i < transcript.choices.size(); ++i) {
      open_chunk(out, i);
      out += R"("role":"assistant","content":"","refusal":null)";
      close_chunk(out, i, {});
    }
  }

  void add(const Transcript& /*transcript*/, const Piece& piece, std::string& out) override {
    const auto choice = piece.choice;
    for (const auto& entry : piece.logprobs) {
      if (!pending_[choice].empty()) pending_[choice].push_back(',');
      append_token_logprob(pending_[choice], entry);
    }
    add_text(out, choice, R"("reasoning_content":)", piece.delta.reasoning);
    add_text(out, choice, R"("content":)", piece.delta.content);
    for (const auto& call : piece.delta.tool_calls) add_call(out, choice, call);
  }

  void close(const Transcript& transcript, std::uint32_t choice, std::string& out) override {
    open_chunk(out, choice);
    close_chunk(out, choice, finish_reason(transcript.choices[choice]));
  }

  void end(const Transcript& transcript, std::string& out) override {
    append_stream_end(out, head_, form_.include_usage ? &transcript.usage : nullptr);
  }

  void fail(const Transcript& /*transcript*/, const Fault& fault, std::string& out) override {
    append_stream_fault(out, fault);
  }

  void whole(const Transcript& transcript, std::string& out) override {
    write_head(transcript, "chat.completion", out);
    out += R"("choices":[)";
    for (std::uint32_t i = 0; i < transcript.choices.size(); ++i) {
      if (i > 0) out.push_back(',');
      write_choice(transcript.choices[i], i, out);
    }
    out += R"(],"usage":)";
    append_usage(out, transcript.usage);
    out.push_back('}');
  }

 private:
  // Up to the members that differ from chunk to chunk.
  static void write_head(const Transcript& transcript, std::string_view object, std::string& out) {
    JsonWriter json(out);
    json.open_object().member("id", transcript.id).member("object", object);
    json.member("created", transcript.created).member("model", transcript.model);
    json.member("service_tier", "default").member("system_fingerprint", transcript.fingerprint);
    out.push_back(',');
  }

  void open_chunk(std::string& out, std::uint32_t choice) const {
    out += head_;
    std::format_to(std::back_inserter(out), R"("choices":[{{"index":{},"delta":{{)", choice);
  }

  void close_chunk(std::string& out, std::uint32_t choice, std::string_view reason) {
    out += R"(},"logprobs":)";
    if (auto& pending = pending_[choice]; pending.empty()) {
      out += "null";
    } else {
      out += R"({"content":[)";
      out += pending;
      out += R"(],"refusal":null})";
      pending.clear();
    }
    out += R"(,"finish_reason":)";
    if (reason.empty()) {
      out += "null";
    } else {
      out.push_back('"');
      out += reason;
      out.push_back('"');
    }
    out += form_.include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n";
  }

  void add_text(std::string& out, std::uint32_t choice, std::string_view key,
                std::string_view text) {
    if (text.empty()) return;
    open_chunk(out, choice);
    out += key;
    append_json_string(out, text);
    close_chunk(out, choice, {});
  }

  void add_call(std::string& out, std::uint32_t choice, const chat::ToolCallDelta& call) {
    open_chunk(out, choice);
    std::format_to(std::back_inserter(out), R"("tool_calls":[{{"index":{})", call.index);
    if (!call.id.empty()) {
      out += R"(,"id":)";
      append_json_string(out, call.id);
      out += R"(,"type":"function","function":{"name":)";
      append_json_string(out, call.name);
      out += R"(,"arguments":)";
    } else {
      out += R"(,"function":{"arguments":)";
    }
    append_json_string(out, call.arguments);
    out += "}}]";
    close_chunk(out, choice, {});
  }

  void write_choice(const TranscriptChoice& choice, std::uint32_t index, std::string& out) const {
    JsonWriter json(out);
    json.open_object().member("index", index).key("message").open_object();
    json.member("role", "assistant");
    if (choice.content.empty() && !choice.calls.empty()) {
      json.member_null("content");
    } else {
      json.member("content", choice.content);
    }
    if (!choice.reasoning.empty()) json.member("reasoning_content", choice.reasoning);
    json.member_null("refusal");
    if (!choice.calls.empty()) append_calls(json, choice.calls);
    json.close_object();
    if (form_.logprobs) {
      json.key("logprobs").open_object().key("content").open_array();
      for (const auto& entry : choice.logprobs) {
        std::string item;
        append_token_logprob(item, entry);
        json.raw(item);
      }
      json.close_array().member_null("refusal").close_object();
    } else {
      json.member_null("logprobs");
    }
    json.member("finish_reason", finish_reason(choice)).close_object();
  }

  ChatForm form_;
  std::string head_ = {};                  // Start of every chunk.
  std::vector<std::string> pending_ = {};  // Log probabilities for the choice's next chunk.
};

}  // namespace

void append_token_logprob(std::string& out, const wire::TokenLogprob& entry) {
  JsonWriter json(out);
  json.open_object().member("token", entry.bytes).member("logprob", entry.logprob);
  append_bytes(json, entry.bytes);
  json.key("top_logprobs").open_array();
  for (const auto& top : entry.top) {
    json.open_object().member("token", top.bytes).member("logprob", top.logprob);
    append_bytes(json, top.bytes);
    json.close_object();
  }
  json.close_array().close_object();
}

std::unique_ptr<AnswerWriter> make_chat_writer(const ChatForm& form) {
  return std::make_unique<ChatWriter>(form);
}

}  // namespace hf::api
