#include "wire/codec.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

namespace hf::wire {
namespace {

// Lists each message's fields once, for both directions. Order is the format.
template <class V>
void fields(V& v, auto& m);

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

static_assert(std::endian::native == std::endian::little, "Frames are little-endian.");

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }

 private:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      const auto raw = std::bit_cast<std::array<char, sizeof(T)>>(value);
      out_.append(raw.data(), raw.size());
    } else if constexpr (std::is_same_v<T, std::string>) {
      put(static_cast<std::uint32_t>(value.size()));
      out_.append(value);
    } else if constexpr (IsVector<T>::value) {
      put(static_cast<std::uint32_t>(value.size()));
      using Item = typename T::value_type;
      if constexpr (std::is_arithmetic_v<Item>) {
        out_.append(reinterpret_cast<const char*>(value.data()), value.size() * sizeof(Item));
      } else {
        for (const auto& item : value) put(item);
      }
    } else {
      fields(*this, value);
    }
  }
  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  [[nodiscard]] bool whole() const { return good_ && in_.empty(); }

 private:
  template <class T>
  void get(T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      if (!need(sizeof(T))) return;
      std::memcpy(&value, in_.data(), sizeof(T));
      in_.remove_prefix(sizeof(T));
    } else if constexpr (std::is_same_v<T, std::string>) {
      const auto size = count(1);
      value.assign(in_.substr(0, size));
      in_.remove_prefix(size);
    } else if constexpr (IsVector<T>::value) {
      get_vector(value);
    } else {
      fields(*this, value);
    }
  }
  template <class Item>
  void get_vector(std::vector<Item>& value) {
    if constexpr (std::is_arithmetic_v<Item>) {
      const auto size = count(sizeof(Item));
      value.resize(size);
      if (size != 0) std::memcpy(value.data(), in_.data(), size * sizeof(Item));
      in_.remove_prefix(size * sizeof(Item));
    } else {
      // Every item takes at least one byte, so the count cannot exceed what is left.
      const auto size = count(1);
      value.clear();
      for (std::size_t i = 0; i < size && good_; ++i) get(value.emplace_back());
    }
  }
  std::size_t count(std::size_t item_bytes) {
    std::uint32_t size = 0;
    get(size);
    if (!good_ || !need(std::size_t{size} * item_bytes)) return 0;
    return size;
  }
  bool need(std::size_t bytes) {
    if (in_.size() < bytes) {
      good_ = false;
      in_ = {};
    }
    return good_;
  }
  std::string_view in_;
  bool good_ = true;
};

template <class V>
void fields(V& v, auto& m) {
  using M = std::remove_cvref_t<decltype(m)>;
  if constexpr (std::is_same_v<M, LogitBias>) v(m.token, m.bias);
  else if constexpr (std::is_same_v<M, Sampling>)
    v(m.temperature, m.top_k, m.top_p, m.min_p, m.typical_p, m.repetition_penalty,
      m.presence_penalty, m.frequency_penalty, m.seed, m.logit_bias, m.logprobs);
  else if constexpr (std::is_same_v<M, Grammar>) v(m.kind, m.text, m.choices, m.triggers);
  else if constexpr (std::is_same_v<M, Prompt>)
    v(m.kind, m.text, m.tokens, m.messages_json, m.tools_json, m.template_args_json,
      m.add_generation_prompt);
  else if constexpr (std::is_same_v<M, Generate>)
    v(m.id, m.prompt, m.sampling, m.grammar, m.choices, m.max_tokens, m.stop, m.ignore_eos,
      m.priority, m.tenant, m.cache_scope, m.adapter, m.deadline_ms, m.resume, m.resume_prompt,
      m.resume_finished, m.resume_text_bytes);
  else if constexpr (std::is_same_v<M, Cancel>) v(m.id);
  else if constexpr (std::is_same_v<M, Embed>)
    v(m.id, m.texts, m.token_lists, m.normalize, m.tenant);
  else if constexpr (std::is_same_v<M, Rerank>) v(m.id, m.query, m.documents, m.tenant);
  else if constexpr (std::is_same_v<M, Tokenize>)
    v(m.id, m.prompt, m.add_special, m.with_pieces);
  else if constexpr (std::is_same_v<M, Detokenize>) v(m.id, m.tokens);
  else if constexpr (std::is_same_v<M, LoadAdapter>) v(m.id, m.name, m.path, m.scale);
  else if constexpr (std::is_same_v<M, UnloadAdapter>) v(m.id, m.name);
  else if constexpr (std::is_same_v<M, Ping>) v(m.id);
  else if constexpr (std::is_same_v<M, Shutdown>) v(m.drain_ms);
  else if constexpr (std::is_same_v<M, LoadProgress>) v(m.fraction, m.stage);
  else if constexpr (std::is_same_v<M, Ready>)
    v(m.description, m.architecture, m.parameters, m.weight_bytes, m.context_train_tokens,
      m.request_tokens_max, m.cells_total, m.vocabulary, m.generates, m.embeds, m.reranks,
      m.embedding_width, m.chat_template, m.bos_text, m.eos_text, m.threads, m.wait_policy,
      m.devices, m.load_seconds);
  else if constexpr (std::is_same_v<M, LoadFailed>) v(m.code, m.message);
  else if constexpr (std::is_same_v<M, Started>)
    v(m.id, m.prompt_tokens, m.cached_tokens, m.tokens, m.reasoning_open);
  else if constexpr (std::is_same_v<M, TopLogprob>) v(m.token, m.logprob, m.bytes);
  else if constexpr (std::is_same_v<M, TokenLogprob>) v(m.token, m.logprob, m.bytes, m.top);
  else if constexpr (std::is_same_v<M, Delta>) v(m.id, m.choice, m.tokens, m.text, m.logprobs);
  else if constexpr (std::is_same_v<M, ChoiceDone>)
    v(m.id, m.choice, m.reason, m.stop_string, m.completion_tokens);
  else if constexpr (std::is_same_v<M, Done>)
    v(m.id, m.prompt_tokens, m.cached_tokens, m.completion_tokens, m.queue_ms, m.prefill_ms,
      m.decode_ms);
  else if constexpr (std::is_same_v<M, Failed>) v(m.id, m.code, m.message, m.param);
  else if constexpr (std::is_same_v<M, Embeddings>) v(m.id, m.width, m.values, m.prompt_tokens);
  else if constexpr (std::is_same_v<M, Scores>) v(m.id, m.values, m.prompt_tokens);
  else if constexpr (std::is_same_v<M, Tokens>) v(m.id, m.tokens, m.pieces, m.text);
  else if constexpr (std::is_same_v<M, Ack>) v(m.id);
  else if constexpr (std::is_same_v<M, Stats>)
    v(m.running, m.waiting, m.swapped, m.cells_used, m.cells_total, m.sequences, m.steps,
      m.prompt_tokens, m.cached_tokens, m.generated_tokens, m.preemptions, m.drafted_tokens,
      m.accepted_tokens, m.resident_bytes, m.step_ms_recent, m.contention);
  else static_assert(!std::is_same_v<M, M>, "a message without fields");
}

template <class Variant>
void encode_frame(const Variant& message, std::string& out) {
  const auto start = out.size();
  out.append(4, '\0');
  out.push_back(static_cast<char>(message.index()));
  Writer writer(out);
  std::visit([&writer](const auto& m) { fields(writer, m); }, message);
  const auto size = static_cast<std::uint32_t>(out.size() - start - 4);
  std::memcpy(out.data() + start, &size, sizeof size);
}

template <class Variant, std::size_t... I>
bool emplace_kind(Variant& message, std::size_t kind, std::index_sequence<I...>) {
  return ((kind == I ? (message.template emplace<I>(), true) : false) || ...);
}

template <class Variant>
Result<Variant> decode_body(std::string_view body) {
  Variant message;
  const auto kind = body.empty() ? std::size_t{255} : static_cast<unsigned char>(body[0]);
  if (!emplace_kind(message, kind, std::make_index_sequence<std::variant_size_v<Variant>>())) {
    return fail(Errc::data_corrupt, "A frame of unknown kind arrived.");
  }
  Reader reader(body.substr(1));
  std::visit([&reader](auto& m) { fields(reader, m); }, message);
  if (!reader.whole()) return fail(Errc::data_corrupt, "A frame has the wrong length.");
  return message;
}

}  // namespace

void encode(const ToEngine& message, std::string& out) { encode_frame(message, out); }
void encode(const ToServer& message, std::string& out) { encode_frame(message, out); }
Result<ToEngine> decode_to_engine(std::string_view body) { return decode_body<ToEngine>(body); }
Result<ToServer> decode_to_server(std::string_view body) { return decode_body<ToServer>(body); }

void FrameReader::feed(std::string_view bytes) {
  if (read_ > 0) {
    buffer_.erase(0, read_);
    read_ = 0;
  }
  buffer_.append(bytes);
}

Result<std::optional<std::string_view>> FrameReader::next() {
  const auto rest = std::string_view(buffer_).substr(read_);
  std::uint32_t size = 0;
  if (rest.size() < sizeof size) return std::nullopt;
  std::memcpy(&size, rest.data(), sizeof size);
  if (size > kFrameBytesMax) return fail(Errc::data_corrupt, "A frame is too long.");
  if (rest.size() < sizeof size + size) return std::nullopt;
  read_ += sizeof size + size;
  return rest.substr(sizeof size, size);
}

}  // namespace hf::wire
