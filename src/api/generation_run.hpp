#pragma once
// One generation request on its way: events of the models become a transcript, which is written to
// the client as it grows or at the end. Lives until the models are done with it.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/generation_plan.hpp"
#include "api/service.hpp"
#include "api/transcript.hpp"
#include "base/mutex.hpp"

namespace hf::api {

/// Threads: any; events come from engine reader threads, the client's leaving from an io thread.
/// Owned by its listeners, which the models drop after the last event of a generation.
class GenerationRun final : public std::enable_shared_from_this<GenerationRun> {
 public:
  GenerationRun(const GenerationPlan& plan, const Call& call, chat::OutputStyle style,
                std::unique_ptr<AnswerWriter> writer);

  /// Asks the models; refusals are answered. Call once.
  static void launch(const std::shared_ptr<GenerationRun>& run, inference::Inference& models,
                     GenerationPlan plan);
  /// Fills in what the answer says about its maker; before launch.
  void describe(std::int64_t created, std::string fingerprint);

 private:
  class Listener;

  enum class Phase : std::uint8_t { waiting, streaming, ended };

  struct Choice {
    std::optional<chat::OutputParser> parser;  // None: text is given as it comes.
    bool finished = false;
    bool answering = false;           // Content or a call has come.
    std::uint64_t tokens_unseen = 0;  // Tokens that gave no text yet.
    std::vector<wire::TokenLogprob> logprobs_unseen = {};
  };
  struct Part {
    bool begun = false;
    bool over = false;
    std::unique_ptr<inference::Generation> handle = {};  // Guarded by handles_mutex_.
  };
  enum class Wish : std::uint8_t { none, cancel, drop };

  void on_started(std::uint32_t part, const wire::Started& event);
  void on_delta(std::uint32_t part, const wire::Delta& event);
  void on_choice_done(std::uint32_t part, const wire::ChoiceDone& event);
  void on_done(std::uint32_t part, const wire::Done& event);
  void on_failed(std::uint32_t part, const Error& error);
  void keep(std::uint32_t part, std::unique_ptr<inference::Generation> handle);
  void leave();

  void begin_part(std::uint32_t part, bool reasoning_open) HF_REQUIRES(mutex_);
  void add(std::uint32_t index, chat::OutputDelta delta, const wire::Delta& event)
      HF_REQUIRES(mutex_);
  void count_reasoning(Choice& choice, const chat::OutputDelta& delta, std::size_t tokens)
      HF_REQUIRES(mutex_);
  static std::vector<wire::TokenLogprob> take_logprobs(Choice& choice,
                                                       const chat::OutputDelta& delta,
                                                       const wire::Delta& event);
  void close_choice(std::uint32_t index, wire::FinishReason reason) HF_REQUIRES(mutex_);
  void fail(const Fault& fault) HF_REQUIRES(mutex_);
  void finish() HF_REQUIRES(mutex_);
  void flush() HF_REQUIRES(mutex_);
  [[nodiscard]] bool part_closed(std::uint32_t part) const HF_REQUIRES(mutex_);
  [[nodiscard]] std::uint32_t index_of(std::uint32_t part, std::uint32_t choice) const {
    return part * choices_per_part_ + choice;
  }
  // Run without mutex_, since the models may answer from inside.
  void settle(std::uint32_t part, Wish wish);
  void drop_all();

  const std::shared_ptr<ResponseSink> sink_;
  const Language language_;
  const std::string request_id_;
  const bool stream_;
  const bool chat_;
  const bool tools_allowed_;
  const bool one_call_;  // The answer ends after its first tool call.
  const bool keeps_logprobs_;
  const std::uint32_t choices_per_part_;
  chat::OutputStyle style_;

  Mutex mutex_;
  Phase phase_ HF_GUARDED_BY(mutex_) = Phase::waiting;
  std::unique_ptr<AnswerWriter> writer_ HF_GUARDED_BY(mutex_);
  Transcript transcript_ HF_GUARDED_BY(mutex_);
  std::vector<Choice> choices_ HF_GUARDED_BY(mutex_);
  std::vector<Part> parts_;
  std::string out_ HF_GUARDED_BY(mutex_);
  std::uint32_t parts_open_ HF_GUARDED_BY(mutex_);

  Mutex handles_mutex_;
  std::atomic<bool> closed_ = false;  // Nothing more is wanted of the models.
};

}  // namespace hf::api
