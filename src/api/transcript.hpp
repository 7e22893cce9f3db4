#pragma once
// What one generation request has produced so far, the same for every endpoint, and the interface
// that writes it in an endpoint's form. Every output passes through here. One thread at a time.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/fault.hpp"
#include "chat/output_parser.hpp"
#include "wire/messages.hpp"

namespace hf::api {

struct CalledTool {
  std::string id = {};
  std::string name = {};
  std::string arguments = {};  ///< JSON text as the model wrote it.
};

struct TranscriptChoice {
  std::string reasoning = {};
  std::string content = {};
  std::vector<CalledTool> calls = {};
  std::vector<wire::TokenLogprob> logprobs = {};  ///< Of whole answers only.
  wire::FinishReason reason = wire::FinishReason::stop;
};

struct TokenUsage {
  std::uint64_t prompt = 0;
  std::uint64_t cached = 0;
  std::uint64_t completion = 0;
  std::uint64_t reasoning = 0;
};

struct Transcript {
  std::string id = {};
  std::int64_t created = 0;  ///< Unix seconds.
  std::string model = {};    ///< As the request named it.
  std::string fingerprint = {};
  std::vector<TranscriptChoice> choices = {};
  TokenUsage usage = {};  ///< Complete at the end.
};

/// What one event adds to a choice; the transcript has it already.
struct Piece {
  std::uint32_t choice = 0;
  const chat::OutputDelta& delta;
  std::span<const wire::TokenLogprob> logprobs = {};
};

/// Writes a transcript: either begin, add.., close.., end or fail; or whole. Each appends to `out`.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  virtual void begin(const Transcript& transcript, std::string& out) = 0;
  virtual void add(const Transcript& transcript, const Piece& piece, std::string& out) = 0;
  /// The choice's reason is known and nothing more comes for it.
  virtual void close(const Transcript& transcript, std::uint32_t choice, std::string& out) = 0;
  virtual void end(const Transcript& transcript, std::string& out) = 0;
  /// The stream ends here.
  virtual void fail(const Transcript& transcript, const Fault& fault, std::string& out) = 0;
  virtual void whole(const Transcript& transcript, std::string& out) = 0;
};

/// "stop", "length" or "tool_calls"; a passed deadline cuts an answer short as a limit does.
std::string_view finish_reason(const TranscriptChoice& choice);
/// OpenAI's usage object of chats and completions.
void append_usage(std::string& out, const TokenUsage& usage);
/// Ends a stream of chunks that begin with `head`: the usage chunk, unless `usage` is null, and [DONE].
void append_stream_end(std::string& out, std::string_view head, const TokenUsage* usage);
/// An error in the middle of a stream.
void append_stream_fault(std::string& out, const Fault& fault);

}  // namespace hf::api
