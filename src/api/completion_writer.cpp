#include "api/completion_writer.hpp"

#include <algorithm>
#include <format>
#include <iterator>
#include <utility>

#include "api/json_writer.hpp"
#include "base/utf8.hpp"

namespace hf::api {
namespace {

// Part of a character: its bytes, so that different tokens have different names.
std::string token_name(std::string_view bytes) {
  if (utf8::valid(bytes)) return std::string(bytes);
  std::string name = "bytes:";
  for (const char byte : bytes) {
    std::format_to(std::back_inserter(name), "\\x{:02x}", static_cast<unsigned char>(byte));
  }
  return name;
}

std::size_t characters(std::string_view bytes) {
  return static_cast<std::size_t>(std::ranges::count_if(
      bytes, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

void append_top(JsonWriter& json, const wire::TokenLogprob& entry) {
  json.open_object();
  bool chosen_is_there = false;
  for (const auto& top : entry.top) {
    json.member(token_name(top.bytes), top.logprob);
    chosen_is_there = chosen_is_there || top.token == entry.token;
  }
  if (!chosen_is_there) json.member(token_name(entry.bytes), entry.logprob);
  json.close_object();
}

// The old form: parallel arrays. `offset`: characters before the first entry, moved on.
void append_logprobs(std::string& out, std::span<const wire::TokenLogprob> entries,
                     std::size_t& offset) {
  JsonWriter json(out);
  json.open_object().key("tokens").open_array();
  for (const auto& entry : entries) json.value(token_name(entry.bytes));
  json.close_array().key("token_logprobs").open_array();
  for (const auto& entry : entries) json.value(entry.logprob);
  json.close_array().key("top_logprobs").open_array();
  for (const auto& entry : entries) append_top(json, entry);
  json.close_array().key("text_offset").open_array();
  for (const auto& entry : entries) {
    json.value(offset);
    offset += characters(entry.bytes);
  }
  json.close_array().close_object();
}

class CompletionWriter final : public AnswerWriter {
 public:
  explicit CompletionWriter(CompletionForm form) : form_(std::move(form)) {}

  void begin(const Transcript& transcript, std::string& out) override {
    head_ = "data: ";
    write_head(transcript, head_);
    pending_.resize(transcript.choices.size());
    for (std::uint32_t i = 0; i < transcript.choices.size(); ++i) {
      if (const auto echo = echo_of(i); !echo.empty()) write_chunk(out, i, echo, {});
    }
  }

  void add(const Transcript& /*transcript*/, const Piece& piece, std::string& out) override {
    auto& entries = pending_[piece.choice].entries;
    entries.insert(entries.end(), piece.logprobs.begin(), piece.logprobs.end());
    if (!piece.delta.content.empty()) write_chunk(out, piece.choice, piece.delta.content, {});
  }

  void close(const Transcript& transcript, std::uint32_t choice, std::string& out) override {
    write_chunk(out, choice, {}, finish_reason(transcript.choices[choice]));
  }

  void end(const Transcript& transcript, std::string& out) override {
    append_stream_end(out, head_, form_.include_usage ? &transcript.usage : nullptr);
  }

  void fail(const Transcript& /*transcript*/, const Fault& fault, std::string& out) override {
    append_stream_fault(out, fault);
  }

  void whole(const Transcript& transcript, std::string& out) override {
    write_head(transcript, out);
    out += R"("choices":[)";
    for (std::uint32_t i = 0; i < transcript.choices.size(); ++i) {
      const auto& choice = transcript.choices[i];
      if (i > 0) out.push_back(',');
      open_choice(out, i);
      append_json_string(out, std::string(echo_of(i)) + choice.content);
      std::size_t offset = 0;
      close_choice(out, choice.logprobs, offset, finish_reason(choice));
    }
    out += R"(],"usage":)";
    append_usage(out, transcript.usage);
    out.push_back('}');
  }

 private:
  struct Pending {
    std::vector<wire::TokenLogprob> entries = {};  // For the choice's next chunk.
    std::size_t offset = 0;
  };

  static void write_head(const Transcript& transcript, std::string& out) {
    JsonWriter json(out);
    json.open_object().member("id", transcript.id).member("object", "text_completion");
    json.member("created", transcript.created).member("model", transcript.model);
    json.member("system_fingerprint", transcript.fingerprint);
    out.push_back(',');
  }

  [[nodiscard]] std::string_view echo_of(std::uint32_t choice) const {
    return form_.echoes.empty() ? std::string_view()
                                : std::string_view(form_.echoes[choice / form_.choices_per_prompt]);
  }

  static void open_choice(std::string& out, std::uint32_t index) {
    std::format_to(std::back_inserter(out), R"({{"index":{},"text":)", index);
  }

  void close_choice(std::string& out, std::span<const wire::TokenLogprob> entries,
                    std::size_t& offset, std::string_view reason) const {
    out += R"(,"logprobs":)";
    if (form_.logprobs) {
      append_logprobs(out, entries, offset);
    } else {
      out += "null";
    }
    out += R"(,"finish_reason":)";
    if (reason.empty()) {
      out += "null}";
    } else {
      std::format_to(std::back_inserter(out), R"("{}"}})", reason);
    }
  }

  void write_chunk(std::string& out, std::uint32_t choice, std::string_view text,
                   std::string_view reason) {
    auto& pending = pending_[choice];
    out += head_;
    out += R"("choices":[)";
    open_choice(out, choice);
    append_json_string(out, text);
    close_choice(out, pending.entries, pending.offset, reason);
    pending.entries.clear();
    out += form_.include_usage ? "],\"usage\":null}\n\n" : "]}\n\n";
  }

  CompletionForm form_;
  std::string head_ = {};  // Start of every chunk.
  std::vector<Pending> pending_ = {};
};

}  // namespace

std::unique_ptr<AnswerWriter> make_completion_writer(CompletionForm form) {
  return std::make_unique<CompletionWriter>(std::move(form));
}

}  // namespace hf::api
