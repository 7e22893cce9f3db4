#pragma once
// What has been delivered of one generation, so that another engine process can go on after it.
// Used by ModelSlot, under its lock.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "wire/messages.hpp"

namespace hf::inference {

/// Threads: one at a time. Memory: the prompt's and the output's tokens.
class GenerationProgress {
 public:
  explicit GenerationProgress(wire::Generate request);

  // Each tells whether the listener is to see the event: repeats after a restart are not new.
  bool started(const wire::Started& event);
  bool delta(const wire::Delta& event);
  bool choice_done(const wire::ChoiceDone& event);
  /// The engine's last event with the usage of the whole request, over all its engines.
  [[nodiscard]] wire::Done closed(wire::Done event) const;

  /// The request as an engine must get it now; `spent`: time since it arrived.
  [[nodiscard]] wire::Generate request(Duration spent) const;
  [[nodiscard]] const wire::Generate& original() const { return request_; }
  [[nodiscard]] bool complete() const;
  [[nodiscard]] bool has_started() const { return started_.has_value(); }
  /// ChoiceDone events with `reason` for all unfinished choices; they are finished then.
  std::vector<wire::ChoiceDone> finish_rest(wire::FinishReason reason);
  /// Call when an engine is lost: later answers are of a resumed request.
  void interrupted() { resumed_ = true; }
  [[nodiscard]] std::uint64_t tokens_delivered() const { return tokens_delivered_; }

 private:
  struct Choice {
    std::vector<wire::Token> tokens;
    std::uint32_t text_bytes = 0;
    std::optional<std::uint32_t> completion_tokens;  // Set once finished.
  };
  [[nodiscard]] Choice* open_choice(std::uint32_t index);

  wire::Generate request_;
  std::optional<wire::Started> started_;
  std::vector<Choice> choices_;
  bool resumed_ = false;
  std::uint64_t tokens_delivered_ = 0;
};

}  // namespace hf::inference
