// ModelSlot's reader thread: every frame of the engine changes the slot under its lock, then the
// listener is called without it.

#include <format>
#include <ranges>
#include <utility>

#include <pthread.h>

#include "base/log.hpp"
#include "inference/model_slot.hpp"

namespace hf::inference {
namespace {

TimePoint now_steady() {
  return std::chrono::steady_clock::now();
}

}  // namespace

void ModelSlot::passed_trial(Call& call) {
  if (trial_ != call.id || needs_solitude(call)) return;
  call.cleared = true;
  trial_ = 0;
  send_held_calls();
}

void ModelSlot::handle(wire::LoadProgress&& event) {
  const Lock lock(mutex_);
  load_fraction_ = event.fraction;
  load_moved_ = now_steady();
}

void ModelSlot::handle(wire::Ready&& event) {
  Deliveries out;
  {
    const Lock lock(mutex_);
    if (phase_ != Phase::starting) return;
    ready_ = std::move(event);
    const auto now = now_steady();
    work_moved_ = now;
    last_used_ = now;
    ping_ = 0;
    ping_sent_ = now;
    metrics_.engine_started();
    metrics_.loaded(ready_.load_seconds);
    load_wanted_ = false;
    if (!calls_.empty()) unload_wanted_ = false;
    enter(Phase::serving);
    for (auto& waiter : waiters_) {
      out.emplace_back([reply = std::move(waiter), status = status_locked()]() mutable {
        reply(std::move(status));
      });
    }
    waiters_.clear();
    send_held_calls();
  }
  log::info("model {} is ready: {}", name_, status().ready.description);
  run(out);
}

void ModelSlot::handle(wire::LoadFailed&& event) {
  const Lock lock(mutex_);
  load_failed_ = Error{event.code, std::move(event.message)};
}

void ModelSlot::handle(wire::Started&& event) {
  std::shared_ptr<Call> call;
  {
    const Lock lock(mutex_);
    const auto found = calls_.find(event.id);
    if (found == calls_.end() || !found->second->progress) return;
    call = found->second;
    if (!call->progress->started(event)) return;
  }
  if (call->listening()) call->listener->on_started(event);
}

void ModelSlot::handle(wire::Delta&& event) {
  std::shared_ptr<Call> call;
  {
    const Lock lock(mutex_);
    const auto found = calls_.find(event.id);
    if (found == calls_.end() || !found->second->progress) return;
    call = found->second;
    if (!call->progress->delta(event)) return;
    if (call->first_token == TimePoint{}) call->first_token = now_steady();
    passed_trial(*call);
  }
  if (call->listening()) call->listener->on_delta(event);
}

void ModelSlot::handle(wire::ChoiceDone&& event) {
  std::shared_ptr<Call> call;
  {
    const Lock lock(mutex_);
    const auto found = calls_.find(event.id);
    if (found == calls_.end() || !found->second->progress) return;
    call = found->second;
    if (!call->progress->choice_done(event)) return;
  }
  if (call->listening()) call->listener->on_choice_done(event);
}

void ModelSlot::handle(wire::Done&& event) {
  std::shared_ptr<Call> call;
  {
    const Lock lock(mutex_);
    const auto found = calls_.find(event.id);
    if (found == calls_.end() || !found->second->progress) return;
    event = found->second->progress->closed(event);
    call = take(event.id, Outcome::ok, event);
  }
  tell_done(*call, event);
}

void ModelSlot::handle(wire::Failed&& event) {
  Error error{event.code, std::move(event.message), {}, std::move(event.param)};
  Deliveries out;
  {
    const Lock lock(mutex_);
    if (!adapter_answered(event.id, &error, out)) {
      auto call = take(event.id, Outcome::error, {});
      if (!call) return;
      out.emplace_back([call, error] { tell_failed(*call, error); });
    }
  }
  run(out);
}

void ModelSlot::acknowledge(const Call& call) {
  if (const auto* load = std::get_if<wire::LoadAdapter>(&call.message)) {
    adapters_[load->name] = {
        .path = load->path, .scale = load->scale, .state = AdapterState::loaded, .load_id = 0};
  } else if (const auto* unload = std::get_if<wire::UnloadAdapter>(&call.message)) {
    adapters_.erase(unload->name);
  }
}

/// `error`: null for success. False: `id` is not a load of ours.
bool ModelSlot::adapter_answered(wire::RequestId id, const Error* error, Deliveries& out) {
  const auto found = std::ranges::find_if(adapters_, [id](const auto& entry) {
    return entry.second.state == AdapterState::loading && entry.second.load_id == id;
  });
  if (found == adapters_.end()) return false;
  if (error == nullptr) {
    found->second.state = AdapterState::loaded;
    send_held_calls();
    return true;
  }
  std::vector<wire::RequestId> held;
  for (const auto& [call_id, call] : calls_) {
    if (!call->submitted && call->adapter == found->first) held.push_back(call_id);
  }
  adapters_.erase(found);
  for (const auto call_id : held) {
    auto call = take(call_id, Outcome::error, {});
    out.emplace_back([call, error = *error] { tell_failed(*call, error); });
  }
  return true;
}

void ModelSlot::handle(wire::Ack&& event) {
  std::shared_ptr<Call> call;
  {
    const Lock lock(mutex_);
    if (event.id == ping_) {
      ping_ = 0;
      return;
    }
    Deliveries none;
    if (adapter_answered(event.id, nullptr, none)) return;
    call = take(event.id, Outcome::ok, {});
    if (call) acknowledge(*call);
  }
  if (call && call->reply && !call->muted) call->reply(wire::ToServer(event));
}

void ModelSlot::handle(wire::Stats&& event) {
  const Lock lock(mutex_);
  const bool moved = event.steps != stats_.steps || event.prompt_tokens != stats_.prompt_tokens ||
                     event.generated_tokens != stats_.generated_tokens;
  if (moved || event.running + event.waiting == 0) work_moved_ = now_steady();
  stats_ = event;
  metrics_.stats(event);
}

template <class Answer>
void ModelSlot::handle(Answer&& event) {
  std::shared_ptr<Call> call;
  {
    const Lock lock(mutex_);
    call = take(event.id, Outcome::ok, {});
  }
  if (call && call->reply && !call->muted) call->reply(wire::ToServer(std::forward<Answer>(event)));
}

void ModelSlot::read(EngineLink& link) {
  // The system keeps 15 characters.
  ::pthread_setname_np(::pthread_self(), ("read-" + name_.substr(0, 10)).c_str());
  for (;;) {
    auto message = link.receive();
    if (!message) {
      const Lock lock(mutex_);
      reader_error_ = std::move(message).error();
      break;
    }
    std::visit([this](auto&& event) { handle(std::move(event)); }, std::move(*message));
  }
  wakeup_->ring();
}

}  // namespace hf::inference
