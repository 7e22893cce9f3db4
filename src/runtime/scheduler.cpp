#include "runtime/scheduler.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include "runtime/scheduler_state.hpp"

namespace hf::runtime {

void OutputLengths::add(std::uint32_t tokens) {
  constexpr std::size_t kKept = 128;
  constexpr std::size_t kEnough = 8;
  if (recent_.size() < kKept) {
    recent_.push_back(tokens);
  } else {
    recent_[next_++ % kKept] = tokens;
  }
  if (recent_.size() < kEnough) return;
  auto sorted = recent_;
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() * 9 / 10);
  std::ranges::nth_element(sorted, place);
  expected_ = *place;
}

Scheduler::State::State(Runner& runner_, const TokenTexts& texts_,
                        const grammar::TokenTable& tokens_, const SchedulerOptions& options_,
                        const Clock& clock_, EmitEvent emit_)
    : runner(runner_),
      texts(texts_),
      tokens(tokens_),
      options(options_),
      clock(clock_),
      emit(std::move(emit_)),
      pool(runner,
           {.cached_sequences_max = options.share_prefixes ? options.cached_sequences_max : 0,
            .swap_bytes_max = options.swap_bytes_max,
            .cached_bytes_max = options.cached_bytes_max}),
      queue(options.ageing),
      now(clock.now()) {
  const auto& facts = runner.facts();
  const auto wanted =
      options.request_tokens_max > 0 ? options.request_tokens_max : facts.context_train_tokens;
  request_tokens_max = wanted == 0 ? facts.cells_total : std::min(wanted, facts.cells_total);
  options.running_max = std::clamp(options.running_max, 1U, facts.sequences_max);
}

std::optional<Error> Scheduler::State::refusal(const PreparedRequest& prepared) const {
  const auto& request = prepared.request;
  const auto invalid = [](std::string message) {
    return Error{Errc::invalid_argument, std::move(message)};
  };
  if (requests.contains(request.id)) return invalid("A request with this id runs already.");
  if (requests.size() >= options.requests_max) {
    return Error{Errc::resource_exhausted, "The model is busy; try again shortly."};
  }
  if (prepared.prompt.empty()) return invalid("The prompt is empty.");
  if (request.choices > options.choices_max) {
    return invalid(std::format("{} choices were asked for; at most {} are allowed.",
                               request.choices, options.choices_max));
  }
  const auto unknown = [this](Token token) { return !texts.known(token); };
  const bool known = std::ranges::none_of(prepared.prompt, unknown) &&
                     std::ranges::none_of(request.resume, [&](const auto& tokens_resumed) {
                       return std::ranges::any_of(tokens_resumed, unknown);
                     });
  if (!known) return invalid("The prompt has a token that is not in the model's vocabulary.");
  if (prepared.prompt.size() >= request_tokens_max) {
    return invalid(std::format(
        "This model's maximum context length is {} tokens, but the prompt alone has {} tokens; "
        "shorten the prompt.",
        request_tokens_max, prepared.prompt.size()));
  }
  return std::nullopt;
}

void Scheduler::State::submit(PreparedRequest prepared) {
  now = clock.now();
  if (auto error = refusal(prepared)) {
    emit(wire::Failed{prepared.request.id, error->code, error->message, {}});
    return;
  }
  auto owned = std::make_unique<ActiveRequest>(ActiveRequest{.prepared = std::move(prepared)});
  auto& request = *owned;
  auto& asked = request.prepared.request;
  asked.choices = std::max(1U, asked.choices);
  request.open = asked.choices;
  request.key = {.scope = asked.cache_scope, .adapter = request.prepared.adapter};
  // Forks of one request always share their prompt.
  if (!options.share_prefixes) request.key.scope = std::format("request {}", asked.id);
  if (asked.deadline_ms > 0) {
    request.deadline = request.prepared.arrived + std::chrono::milliseconds(asked.deadline_ms);
    next_deadline = std::min(next_deadline, request.deadline);
  }
  requests.emplace(asked.id, std::move(owned));
  std::vector<Sequence*> complete;
  for (std::uint32_t choice = 0; choice < asked.choices; ++choice) {
    if (choice < asked.resume_finished.size() && asked.resume_finished[choice] != 0) {
      if (choice < asked.resume.size()) {
        request.tokens_resumed += static_cast<std::uint32_t>(asked.resume[choice].size());
      }
      --request.open;
    } else {
      add_choice(request, choice);
      if (request.choices.back()->output.ended()) complete.push_back(request.choices.back().get());
    }
  }
  if (request.open == 0) {
    end_request(request, wire::FinishReason::stop);
    return;
  }
  for (auto* sequence : complete) report(*sequence);
}

void Scheduler::State::add_choice(ActiveRequest& request, std::uint32_t choice) {
  const auto& prepared = request.prepared;
  const auto& asked = prepared.request;
  const auto prompt_tokens = static_cast<std::uint32_t>(prepared.prompt.size());
  const auto room = request_tokens_max - prompt_tokens;
  const auto tokens_max = asked.max_tokens == 0 ? room : std::min(asked.max_tokens, room);
  auto made = std::make_unique<Sequence>(request,
                                         ChoiceOutput(prepared, choice, tokens_max, texts, tokens));
  auto& sequence = *made;
  sequence.priority = asked.priority;
  sequence.arrived = prepared.arrived;
  sequence.history = prepared.prompt;
  if (choice < asked.resume.size()) {
    std::optional<std::uint32_t> text_bytes;
    if (choice < asked.resume_text_bytes.size()) text_bytes = asked.resume_text_bytes[choice];
    sequence.output.replay(asked.resume[choice], text_bytes);
    const auto& resumed = asked.resume[choice];
    sequence.history.insert(sequence.history.end(), resumed.begin(), resumed.end());
  }
  const auto guessed = std::max(lengths.expected(), sequence.output.tokens() + 1);
  sequence.expected = std::max(sequence.size(), prompt_tokens + std::min(tokens_max, guessed));
  request.choices.push_back(std::move(made));
  queue.push(sequence, asked.tenant);
}

void Scheduler::State::end_request(ActiveRequest& request, wire::FinishReason reason) {
  const auto id = request.prepared.request.id;
  // The last report frees the request.
  const auto choices = request.choices.size();
  if (request.open == 0) {
    announce(request);
    emit(wire::Done{.id = id,
                    .prompt_tokens = static_cast<std::uint32_t>(request.prepared.prompt.size()),
                    .completion_tokens = request.tokens_resumed});
    requests.erase(id);
    return;
  }
  for (std::size_t i = 0; i < choices && requests.contains(id); ++i) {
    auto& sequence = *request.choices[i];
    if (sequence.place == Sequence::Place::ended) continue;
    sequence.output.end(reason);
    report(sequence);
  }
}

void Scheduler::State::end_overdue() {
  if (now < next_deadline) return;
  std::vector<ActiveRequest*> overdue;
  next_deadline = TimePoint::max();
  for (const auto& [id, request] : requests) {
    if (request->deadline <= now) {
      overdue.push_back(request.get());
    } else {
      next_deadline = std::min(next_deadline, request->deadline);
    }
  }
  for (auto* request : overdue) end_request(*request, wire::FinishReason::deadline);
}

Result<bool> Scheduler::State::step() {
  now = clock.now();
  if (requests.empty()) return false;
  end_overdue();
  if (requests.empty()) return true;
  admit();
  attach_awaiting();
  return compute();
}

Scheduler::Scheduler(Runner& runner, const TokenTexts& texts, const grammar::TokenTable& tokens,
                     const SchedulerOptions& options, const Clock& clock, EmitEvent emit)
    : state_(std::make_unique<State>(runner, texts, tokens, options, clock, std::move(emit))) {}
Scheduler::~Scheduler() = default;

void Scheduler::submit(PreparedRequest request) {
  state_->submit(std::move(request));
}

void Scheduler::cancel(wire::RequestId id) {
  const auto found = state_->requests.find(id);
  if (found == state_->requests.end()) return;
  state_->now = state_->clock.now();
  state_->end_request(*found->second, wire::FinishReason::cancelled);
}

Result<bool> Scheduler::step() {
  return state_->step();
}
bool Scheduler::idle() const {
  return state_->requests.empty();
}

void Scheduler::set_costs(std::vector<CostPoint> costs) {
  state_->costs = StepCosts(std::move(costs));
  // Even guesses that are always right must save time.
  const auto& known = state_->costs;
  state_->guesses_may_pay = false;
  for (std::uint32_t guessed = 1; known.known() && guessed <= state_->options.draft_tokens_max;
       ++guessed) {
    if (known.ms(1 + guessed) < 0.9 * (1 + guessed) * known.ms(1)) state_->guesses_may_pay = true;
  }
}

void Scheduler::fail_all(const Error& error) {
  for (const auto& [id, request] : state_->requests) {
    for (const auto& sequence : request->choices) state_->leave(*sequence);
    state_->emit(wire::Failed{id, error.code, error.message, {}});
  }
  state_->requests.clear();
}

void Scheduler::forget_cached(AdapterId adapter) {
  state_->pool.forget(adapter);
}

bool Scheduler::uses(AdapterId adapter) const {
  return std::ranges::any_of(state_->requests, [adapter](const auto& entry) {
    return entry.second->prepared.adapter == adapter;
  });
}

void Scheduler::fill(wire::Stats& stats) const {
  stats = state_->counts;
  stats.running = static_cast<std::uint32_t>(state_->running.size());
  stats.waiting = static_cast<std::uint32_t>(state_->queue.waiting());
  stats.swapped = static_cast<std::uint32_t>(state_->preempted.size());
  stats.cells_used = state_->pool.cells().used();
  stats.cells_total = state_->runner.facts().cells_total;
  stats.sequences = state_->pool.sequences_used();
}

}  // namespace hf::runtime
