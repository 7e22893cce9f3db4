#include "inference/model_slot.hpp"

#include <algorithm>
#include <format>
#include <ranges>
#include <utility>

#include "base/log.hpp"

namespace hf::inference {
namespace {

TimePoint now_steady() {
  return std::chrono::steady_clock::now();
}

}  // namespace

ModelSlot::ModelSlot(std::string name, Keep keep, std::shared_ptr<const EnginePoolOptions> options,
                     std::shared_ptr<Wakeup> wakeup, Metrics& metrics)
    : name_(std::move(name)),
      keep_(keep),
      options_(std::move(options)),
      wakeup_(std::move(wakeup)),
      metrics_(metrics, name_, options_->metric_names) {}

Result<void> ModelSlot::submit(std::shared_ptr<Call> call) {
  const Lock lock(mutex_);
  if (closing_) return fail(Errc::unavailable, "The server is shutting down; retry in a minute.");
  const auto now = now_steady();
  if (phase_ == Phase::failed && now < retry_at_) return fail(Errc::unavailable, reason_);
  if (calls_.size() >= options_->requests_max) {
    return fail(Errc::resource_exhausted,
                std::format("The model \"{}\" already has {} requests; retry in a few seconds.",
                            name_, calls_.size()));
  }
  last_used_ = now;
  auto& placed = *call;
  calls_.emplace(call->id, std::move(call));
  if (phase_ == Phase::serving) {
    send_call(placed);
    if (link_->has_waiting()) wakeup_->ring();
  } else {
    wakeup_->ring();
  }
  return {};
}

void ModelSlot::cancel(Call& call, CancelKind kind) {
  const Lock lock(mutex_);
  if (kind == CancelKind::abandoned) call.muted = true;
  const auto found = calls_.find(call.id);
  if (found == calls_.end() || call.cancelled) return;
  call.cancelled = true;
  const bool engine_has_it = call.submitted && link_ != nullptr;
  if (engine_has_it) {
    link_->send(wire::Cancel{call.id});
    return;  // Its Done, or the engine's end, closes the call.
  }
  auto ended = take(call.id, Outcome::cancelled, {});
  for_supervisor_.emplace_back(
      [ended] { tell_failed(*ended, {Errc::cancelled, "The request was cancelled."}); });
  wakeup_->ring();
}

void ModelSlot::when_ready(Reply<ModelStatus> reply) {
  Result<ModelStatus> answer;
  {
    const Lock lock(mutex_);
    const bool failed_now = phase_ == Phase::failed && now_steady() < retry_at_;
    if (closing_) {
      answer = fail(Errc::unavailable, "The server is shutting down; retry in a minute.");
    } else if (failed_now) {
      answer = fail(Errc::unavailable, reason_);
    } else if (phase_ == Phase::serving && !unload_wanted_) {
      last_used_ = now_steady();
      answer = status_locked();
    } else {
      waiters_.push_back(std::move(reply));
      wakeup_->ring();
      return;
    }
  }
  reply(std::move(answer));
}

void ModelSlot::want_load() {
  const Lock lock(mutex_);
  load_wanted_ = true;
  wakeup_->ring();
}

void ModelSlot::request_unload() {
  const Lock lock(mutex_);
  if (phase_ == Phase::failed) {
    crashes_.clear();
    convictions_ = 0;
    enter(Phase::idle);
  }
  if (phase_ != Phase::idle && phase_ != Phase::closed) unload_wanted_ = true;
  wakeup_->ring();
}

ModelStatus ModelSlot::status() const {
  const Lock lock(mutex_);
  return status_locked();
}

ModelStatus ModelSlot::status_locked() const {
  ModelStatus status;
  status.name = name_;
  status.ready = ready_;
  status.stats = stats_;
  status.restarts = restarts_;
  for (const auto& [adapter, state] : adapters_) status.adapters.push_back(adapter);
  switch (phase_) {
    case Phase::idle:
    case Phase::stopping:
    case Phase::closed:
      status.state = ModelState::unloaded;
      break;
    case Phase::dying:
      status.state = intended_ ? ModelState::unloaded : ModelState::loading;
      break;
    case Phase::starting:
    case Phase::backoff:
      status.state = ModelState::loading;
      status.load_fraction = load_fraction_;
      break;
    case Phase::serving:
      status.state = ModelState::ready;
      status.load_fraction = 1;
      break;
    case Phase::failed:
      status.state = ModelState::failed;
      status.reason = reason_;
      break;
  }
  return status;
}

bool ModelSlot::active() const {
  const Lock lock(mutex_);
  return charge_bytes_ > 0 || !calls_.empty();
}

bool ModelSlot::knows_adapter(const std::string& adapter) const {
  const Lock lock(mutex_);
  return adapters_.contains(adapter);
}

bool ModelSlot::wants_load(TimePoint now) const {
  const Lock lock(mutex_);
  if (closing_) return false;
  if (phase_ == Phase::backoff) return now >= restart_at_;
  const bool may = phase_ == Phase::idle || (phase_ == Phase::failed && now >= retry_at_);
  return may && (load_wanted_ || !calls_.empty() || !waiters_.empty());
}

std::uint64_t ModelSlot::charge_bytes() const {
  const Lock lock(mutex_);
  return charge_bytes_ == 0 ? 0 : std::max(charge_bytes_, stats_.resident_bytes);
}

bool ModelSlot::leaving() const {
  const Lock lock(mutex_);
  return phase_ == Phase::stopping || (phase_ == Phase::dying && intended_) ||
         (phase_ == Phase::serving && unload_wanted_);
}

std::optional<TimePoint> ModelSlot::idle_since() const {
  const Lock lock(mutex_);
  const bool may = keep_ == Keep::while_used && phase_ == Phase::serving && calls_.empty();
  return may ? std::optional(last_used_) : std::nullopt;
}

bool ModelSlot::evict(TimePoint now) {
  const Lock lock(mutex_);
  if (phase_ != Phase::serving || !calls_.empty()) return false;
  stop(now, Duration{0});
  return true;
}

bool ModelSlot::closed() const {
  const Lock lock(mutex_);
  return phase_ == Phase::closed;
}

// The rest runs under the lock.

void ModelSlot::enter(Phase phase) {
  phase_ = phase;
  if (phase == Phase::idle || phase == Phase::failed || phase == Phase::closed) {
    charge_bytes_ = 0;
    load_fraction_ = 0;
    stats_ = {};
    unload_wanted_ = false;
  }
  if (phase != Phase::closed) metrics_.state(status_locked().state);
}

std::size_t ModelSlot::submitted_count() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      calls_ | std::views::values, [](const auto& call) { return call->submitted; }));
}

bool ModelSlot::is_suspect(const Call& call) const {
  return call.crashes + 1 >= std::max(2U, options_->poison_crashes);
}

bool ModelSlot::needs_solitude(const Call& call) const {
  return call.crashes >= std::max(2U, options_->poison_crashes);
}

/// Suspects come in one at a time, the next after a first token of the one before. Those that were
/// there once more stay the only suspect inside until they end.
bool ModelSlot::may_enter(const Call& call) {
  if (!is_suspect(call) || call.cleared) return true;
  if (trial_ != 0) return trial_ == call.id;
  const bool others = std::ranges::any_of(calls_ | std::views::values, [&](const auto& other) {
    return other->inside() && is_suspect(*other);
  });
  if (others && needs_solitude(call)) return false;
  trial_ = call.id;
  return true;
}

bool ModelSlot::adapter_loaded(Call& call) {
  if (call.adapter.empty()) return true;
  auto& adapter = adapters_[call.adapter];
  if (adapter.path.empty()) adapter.path = call.adapter_path;
  if (adapter.state == AdapterState::loaded) return true;
  call.on_adapter = true;
  if (adapter.state == AdapterState::absent) {
    adapter.state = AdapterState::loading;
    adapter.load_id = ++last_own_id_;
    link_->send(wire::LoadAdapter{
        .id = adapter.load_id, .name = call.adapter, .path = adapter.path, .scale = adapter.scale});
  }
  return false;
}

void ModelSlot::send_call(Call& call) {
  if (call.submitted || call.cancelled || (unload_wanted_ && !closing_)) return;
  if (!may_enter(call) || !adapter_loaded(call)) return;
  call.submitted = true;
  call.on_adapter = false;
  link_->send(call.progress ? wire::ToEngine(call.progress->request(now_steady() - call.arrived))
                            : call.message);
}

void ModelSlot::send_held_calls() {
  if (phase_ != Phase::serving) return;
  for (const auto& [id, call] : calls_) {
    if (!is_suspect(*call)) send_call(*call);
  }
  // The newest suspect first: the others have run well before it came.
  for (const auto& [id, call] : calls_ | std::views::reverse) send_call(*call);
  if (link_->has_waiting()) wakeup_->ring();
}

std::shared_ptr<Call> ModelSlot::take(wire::RequestId id, Outcome outcome,
                                      const wire::Done& usage) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return nullptr;
  auto call = std::move(found->second);
  calls_.erase(found);
  const auto now = now_steady();
  last_used_ = now;
  if (call->cancelled) outcome = Outcome::cancelled;
  const RequestTimes times{
      .arrived = call->arrived, .first_token = call->first_token, .ended = now};
  const bool computes = call->progress || std::holds_alternative<wire::Embed>(call->message) ||
                        std::holds_alternative<wire::Rerank>(call->message);
  if (outcome == Outcome::ok && computes) convictions_ = 0;
  if (call->progress) {
    const bool chat = call->progress->original().prompt.kind == wire::PromptKind::chat;
    metrics_.generated(chat ? "chat" : "text_completion", outcome, times, usage);
  } else if (std::holds_alternative<wire::Embed>(call->message)) {
    metrics_.answered("embeddings", outcome, times);
  } else if (std::holds_alternative<wire::Rerank>(call->message)) {
    metrics_.answered("rerank", outcome, times);
  }
  if (trial_ == id) trial_ = 0;
  if (is_suspect(*call)) send_held_calls();
  if (calls_.empty() || unload_wanted_) wakeup_->ring();
  return call;
}

void ModelSlot::fail_all(const Error& error, Deliveries& out) {
  trial_ = 0;
  while (!calls_.empty()) {
    auto call = take(calls_.begin()->first, Outcome::error, {});
    out.emplace_back([call, error] { tell_failed(*call, error); });
  }
  for (auto& waiter : waiters_) {
    out.emplace_back(
        [reply = std::move(waiter), error]() mutable { reply(std::unexpected(error)); });
  }
  waiters_.clear();
}

}  // namespace hf::inference
