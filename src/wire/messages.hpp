#pragma once
// What holdfastd and its engine processes say to each other. Plain values; encoding is in codec.hpp.
// Every request carries an id chosen by the server; events of one request come in order.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace hf::wire {

using RequestId = std::uint64_t;
using Token = std::int32_t;

// ---- server to engine -----------------------------------------------------------------------

enum class Priority : std::uint8_t { interactive, normal, batch };

struct LogitBias {
  Token token = 0;
  float bias = 0;  ///< Added to the logit; -100 and below bans the token.
};

/// Defaults are OpenAI's; every field has "off" as its neutral value.
struct Sampling {
  float temperature = 1;         ///< 0: greedy.
  std::int32_t top_k = 0;        ///< 0: off.
  float top_p = 1;               ///< 1: off.
  float min_p = 0;               ///< 0: off.
  float typical_p = 1;           ///< 1: off.
  float repetition_penalty = 1;  ///< 1: off; over prompt and output.
  float presence_penalty = 0;    ///< Over the output, as OpenAI.
  float frequency_penalty = 0;   ///< Over the output, as OpenAI.
  std::uint64_t seed = 0;        ///< The server draws one if the caller gave none.
  std::vector<LogitBias> logit_bias = {};
  std::int32_t logprobs = -1;    ///< -1: none; 0..20 alternatives beside the chosen token.
};

enum class GrammarKind : std::uint8_t { none, json_object, json_schema, regex, gbnf, choice };

struct Grammar {
  GrammarKind kind = GrammarKind::none;
  std::string text = {};                  ///< Schema, regex or GBNF.
  std::vector<std::string> choices = {};  ///< For GrammarKind::choice.
  /// Empty: constrains from the first token. Else the text is free until one of these strings has
  /// just been produced; the grammar holds for what follows it (tool calls). After the grammar is
  /// complete the text is free again.
  std::vector<std::string> triggers = {};
};

enum class PromptKind : std::uint8_t { chat, text, tokens };

struct Prompt {
  PromptKind kind = PromptKind::text;
  std::string text = {};           ///< PromptKind::text.
  std::vector<Token> tokens = {};  ///< PromptKind::tokens.
  std::string messages_json = {};  ///< PromptKind::chat: array of OpenAI messages.
  std::string tools_json = {};     ///< Empty or an array of OpenAI tools.
  std::string template_args_json = {};  ///< Empty or an object: extra template variables.
  /// Ends the rendered prompt as the start of the assistant's turn.
  std::uint8_t add_generation_prompt = 1;
};

struct Generate {
  RequestId id = 0;
  Prompt prompt = {};
  Sampling sampling = {};
  Grammar grammar = {};
  std::uint32_t choices = 1;      ///< OpenAI's n.
  std::uint32_t max_tokens = 0;   ///< Per choice; 0: to the end of the context.
  std::vector<std::string> stop = {};
  std::uint8_t ignore_eos = 0;    ///< Benchmarks: go on after the end token.
  Priority priority = Priority::normal;
  std::string tenant = {};        ///< Fair share is between tenants.
  std::string cache_scope = {};   ///< Only requests of one scope share cached prefixes.
  std::string adapter = {};       ///< Empty: the base model.
  std::uint32_t deadline_ms = 0;  ///< From arrival; 0: none.
  /// Tokens already delivered, per choice, when a request moves to a new engine process: they are
  /// not sent again, sampling and grammar go on after them. Empty: a new request.
  std::vector<std::vector<Token>> resume = {};
  /// The prompt's tokens as told by Started, so that a resumed request needs no new rendering.
  std::vector<Token> resume_prompt = {};
  /// Per choice, with `resume`: 1 if its ChoiceDone was delivered. The engine sends nothing more for
  /// it and counts its resumed tokens in Done. Empty: none is finished.
  std::vector<std::uint8_t> resume_finished = {};
  /// Per choice, with `resume`: bytes of text already delivered. Only what the resumed tokens give
  /// beyond them (a flush cut off by the crash) is sent. Empty: all that the tokens gave so far.
  std::vector<std::uint32_t> resume_text_bytes = {};
};

struct Cancel {
  RequestId id = 0;
};

struct Embed {
  RequestId id = 0;
  std::vector<std::string> texts = {};
  std::vector<std::vector<Token>> token_lists = {};  ///< Instead of texts.
  std::uint8_t normalize = 1;
  std::string tenant = {};
};

struct Rerank {
  RequestId id = 0;
  std::string query = {};
  std::vector<std::string> documents = {};
  std::string tenant = {};
};

struct Tokenize {
  RequestId id = 0;
  Prompt prompt = {};
  std::uint8_t add_special = 1;
  std::uint8_t with_pieces = 0;
};

struct Detokenize {
  RequestId id = 0;
  std::vector<Token> tokens = {};
};

struct LoadAdapter {
  RequestId id = 0;
  std::string name = {};
  std::string path = {};  ///< GGUF adapter.
  float scale = 1;
};

struct UnloadAdapter {
  RequestId id = 0;
  std::string name = {};
};

struct Ping {
  RequestId id = 0;
};

struct Shutdown {
  std::uint32_t drain_ms = 0;  ///< Running requests may go on that long.
};

// ---- engine to server -----------------------------------------------------------------------

struct LoadProgress {
  float fraction = 0;
  std::string stage = {};  ///< "weights", "warm-up", ...
};

/// The engine is up. Sent once, first of all but LoadProgress and LoadFailed.
struct Ready {
  std::string description = {};  ///< "llama 135M Q4_1"
  std::string architecture = {};
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;
  std::uint32_t context_train_tokens = 0;
  std::uint32_t request_tokens_max = 0;  ///< Prompt plus output of one request.
  std::uint32_t cells_total = 0;         ///< KV cells shared by all requests.
  std::uint32_t vocabulary = 0;
  std::uint8_t generates = 0;
  std::uint8_t embeds = 0;
  std::uint8_t reranks = 0;
  std::uint32_t embedding_width = 0;
  std::string chat_template = {};  ///< Jinja source; empty: none.
  std::string bos_text = {};
  std::string eos_text = {};
  std::uint32_t threads = 0;
  std::string wait_policy = {};   ///< "adaptive", "spin", "passive"
  std::vector<std::string> devices = {};
  double load_seconds = 0;
};

struct LoadFailed {
  Errc code = Errc::internal;
  std::string message = {};
};

struct Started {
  RequestId id = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::vector<Token> tokens = {};  ///< The prompt, for resuming.
  /// The rendered prompt ends inside an opened <think>: the answer begins with reasoning.
  std::uint8_t reasoning_open = 0;
};

struct TopLogprob {
  Token token = 0;
  float logprob = 0;
  std::string bytes = {};
};

struct TokenLogprob {
  Token token = 0;
  float logprob = 0;
  std::string bytes = {};
  std::vector<TopLogprob> top = {};
};

/// At most one per step and choice. `text` is whole, valid UTF-8 with stop strings and their
/// possible beginnings held back; it may be empty although tokens are there.
struct Delta {
  RequestId id = 0;
  std::uint32_t choice = 0;
  std::vector<Token> tokens = {};
  std::string text = {};
  std::vector<TokenLogprob> logprobs = {};
};

enum class FinishReason : std::uint8_t { stop, length, cancelled, deadline };

/// The last event of a choice; the Delta before it has flushed held-back text.
struct ChoiceDone {
  RequestId id = 0;
  std::uint32_t choice = 0;
  FinishReason reason = FinishReason::stop;
  std::string stop_string = {};  ///< The stop string found, if one was.
  std::uint32_t completion_tokens = 0;  ///< With resumed ones.
};

/// The last event of a request.
struct Done {
  RequestId id = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::uint32_t completion_tokens = 0;
  double queue_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
};

/// The last event of a request that could not be (fully) served.
struct Failed {
  RequestId id = 0;
  Errc code = Errc::internal;
  std::string message = {};
  std::string param = {};
};

struct Embeddings {
  RequestId id = 0;
  std::uint32_t width = 0;
  std::vector<float> values = {};  ///< [inputs x width], row-major.
  std::uint32_t prompt_tokens = 0;
};

struct Scores {
  RequestId id = 0;
  std::vector<float> values = {};  ///< One per document; higher is better.
  std::uint32_t prompt_tokens = 0;
};

struct Tokens {
  RequestId id = 0;
  std::vector<Token> tokens = {};
  std::vector<std::string> pieces = {};
  std::string text = {};  ///< Rendered prompt (Tokenize) or text (Detokenize).
};

/// Answer to LoadAdapter, UnloadAdapter and Ping.
struct Ack {
  RequestId id = 0;
};

/// Sent every second and after each load change. Counters run from the engine's start.
struct Stats {
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  std::uint32_t swapped = 0;
  std::uint32_t cells_used = 0;
  std::uint32_t cells_total = 0;
  std::uint32_t sequences = 0;      ///< Live and cached sequence ids in use.
  std::uint64_t steps = 0;
  std::uint64_t prompt_tokens = 0;  ///< Computed, without cached ones.
  std::uint64_t cached_tokens = 0;  ///< Taken from the prefix tree.
  std::uint64_t generated_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t drafted_tokens = 0;
  std::uint64_t accepted_tokens = 0;
  std::uint64_t resident_bytes = 0;
  double step_ms_recent = 0;        ///< Moving average.
  std::uint32_t contention = 0;     ///< 1: the machine is busy with other work.
};

using ToEngine = std::variant<Generate, Cancel, Embed, Rerank, Tokenize, Detokenize, LoadAdapter,
                              UnloadAdapter, Ping, Shutdown>;
using ToServer = std::variant<LoadProgress, Ready, LoadFailed, Started, Delta, ChoiceDone, Done,
                              Failed, Embeddings, Scores, Tokens, Ack, Stats>;

}  // namespace hf::wire
