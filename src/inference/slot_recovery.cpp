// ModelSlot's supervisor side: engines are started, watched, stopped and buried here, and crashes
// are judged: the model's fault, or that of one request.

#include <algorithm>
#include <format>
#include <ranges>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "base/log.hpp"
#include "inference/model_slot.hpp"
#include "wire/channel.hpp"

namespace hf::inference {
namespace {

using namespace std::chrono_literals;

/// An engine that has closed its socket or was told to end is killed after that.
constexpr Duration kEndPatience = 3s;
constexpr Duration kBackoffMax = 10s;
constexpr std::uint32_t kConvictionsMax = 2;

std::string text_of(Duration duration) {
  return std::format("{:g} s", std::chrono::duration<double>(duration).count());
}

}  // namespace

void ModelSlot::start(const EngineCommand& command, std::uint64_t charge_bytes, TimePoint now) {
  const auto pair = wire::make_socket_pair();
  auto process = pair ? EngineProcess::spawn(command, pair->child)
                      : Result<std::unique_ptr<EngineProcess>>(std::unexpected(pair.error()));
  auto link = pair ? std::make_shared<EngineLink>(pair->parent) : nullptr;
  if (pair) ::close(pair->child);
  if (!process) {
    refuse(process.error());
    return;
  }
  process_ = std::move(*process);
  {
    const Lock lock(mutex_);
    restarting_ = phase_ == Phase::backoff;
    if (restarting_) {
      ++restarts_;
      metrics_.restarted();
    }
    link_ = link;
    charge_bytes_ = charge_bytes;
    load_failed_.reset();
    reader_error_.reset();
    kill_reason_.clear();
    exited_ = false;
    intended_ = false;
    end_by_ = TimePoint::max();
    load_moved_ = now;
    load_fraction_ = 0;
    stats_ = {};
    enter(Phase::starting);
  }
  log::info("model {}: engine process {} started", name_, process_->pid());
  try {
    reader_ = std::thread([this, link] { read(*link); });
  } catch (const std::system_error& error) {
    const Lock lock(mutex_);
    reader_error_ = Error{Errc::internal, "No thread could be started.", error.what()};
    kill("no thread was left to listen to it");
  }
}

void ModelSlot::refuse(const Error& error) {
  log::failure(std::format("model {} is not loaded", name_), error);
  Deliveries out;
  {
    const Lock lock(mutex_);
    load_wanted_ = false;
    enter(Phase::idle);
    fail_all(error, out);
  }
  run(out);
}

void ModelSlot::add_descriptors(std::vector<pollfd>& fds) const {
  if (!process_) return;
  const Lock lock(mutex_);
  if (!exited_) fds.push_back({.fd = process_->pid_fd(), .events = POLLIN, .revents = 0});
  if (process_->output_fd() >= 0) {
    fds.push_back({.fd = process_->output_fd(), .events = POLLIN, .revents = 0});
  }
  if (link_->has_waiting()) fds.push_back({.fd = link_->fd(), .events = POLLOUT, .revents = 0});
}

void ModelSlot::advance(TimePoint now) {
  Deliveries out;
  bool ended = false;
  if (process_) process_->read_output();
  {
    const Lock lock(mutex_);
    out = std::exchange(for_supervisor_, {});
    if (process_) {
      link_->flush();
      check_end(now);
      check_times(now);
    }
    ended = phase_ == Phase::dying && exited_ && reader_error_;
  }
  if (ended) {
    // Once joined, no listener call of the old engine can follow one of the new.
    if (reader_.joinable()) reader_.join();
    const Lock lock(mutex_);
    bury(now, out);
  }
  {
    const Lock lock(mutex_);
    expire_calls(now, out);
  }
  run(out);
}

void ModelSlot::check_end(TimePoint now) {
  if (!exited_ && process_->reap()) {
    exited_ = true;
    // A child of the engine could keep the socket open; what it sent can still be read.
    link_->shut_down();
  }
  if ((!exited_ && !reader_error_) || phase_ == Phase::dying) return;
  enter(Phase::dying);
  if (reader_error_ && reader_error_->code == Errc::data_corrupt) {
    kill("it sent a bad frame");
  }
  end_by_ = std::min(end_by_, now + kEndPatience);
}

void ModelSlot::check_times(TimePoint now) {
  if (exited_) return;
  if (now >= end_by_) {
    kill("it did not end in time");
    end_by_ = TimePoint::max();
  }
  if (phase_ == Phase::starting && now - load_moved_ > options_->load_timeout) {
    load_moved_ = now;
    kill(std::format("loading made no progress for {}", text_of(options_->load_timeout)));
  }
  if (phase_ != Phase::serving) return;
  check_health(now);
  if (unload_wanted_ && submitted_count() == 0) {
    stop(now, Duration{0});
  } else if (keep_ == Keep::while_used && calls_.empty() && options_->idle_unload > Duration{0} &&
             now - last_used_ >= options_->idle_unload) {
    log::info("model {}: unloaded after {} without a request", name_,
              text_of(options_->idle_unload));
    stop(now, Duration{0});
  }
}

void ModelSlot::check_health(TimePoint now) {
  const auto patience = options_->hang_timeout;
  if (patience > Duration{0}) {
    if (ping_ != 0 && now - ping_sent_ > patience) {
      ping_ = 0;
      kill(std::format("it did not answer for {}", text_of(patience)));
    } else if (ping_ == 0 && now - ping_sent_ >= patience / 4) {
      ping_ = ++last_own_id_;
      ping_sent_ = now;
      link_->send(wire::Ping{ping_});
    }
  }
  const auto stall = options_->stall_timeout;
  if (stall > Duration{0} && stats_.running > 0 && now - work_moved_ > stall) {
    work_moved_ = now;
    kill(std::format("its work stood still for {}", text_of(stall)));
  }
}

void ModelSlot::kill(std::string reason) {
  if (kill_reason_.empty()) kill_reason_ = std::move(reason);
  process_->kill();
}

void ModelSlot::stop(TimePoint now, Duration drain) {
  intended_ = true;
  unload_wanted_ = false;
  const auto drain_ms = std::chrono::duration_cast<std::chrono::milliseconds>(drain).count();
  link_->send(wire::Shutdown{static_cast<std::uint32_t>(drain_ms)});
  end_by_ = now + drain + kEndPatience;
  enter(Phase::stopping);
}

/// Requests whose time ran out while no engine had them.
void ModelSlot::expire_calls(TimePoint now, Deliveries& out) {
  std::vector<wire::RequestId> expired;
  for (const auto& [id, call] : calls_) {
    if (!call->submitted && call->deadline.passed(now)) expired.push_back(id);
  }
  for (const auto id : expired) {
    auto call = take(id, Outcome::error, {});
    if (!call->progress || !call->progress->has_started()) {
      out.emplace_back([call] {
        tell_failed(*call, {Errc::deadline_exceeded,
                            "The deadline passed before the model was loaded; allow more time."});
      });
      continue;
    }
    auto events = call->progress->finish_rest(wire::FinishReason::deadline);
    out.emplace_back([call, events = std::move(events)] {
      for (const auto& event : events) {
        if (call->listening()) call->listener->on_choice_done(event);
      }
      tell_done(*call, call->progress->closed({}));
    });
  }
}

/// The engine process is gone and its reader has joined.
void ModelSlot::bury(TimePoint now, Deliveries& out) {
  link_.reset();
  for (auto& [name, adapter] : adapters_) adapter.state = AdapterState::absent;
  log_ending();
  const bool orderly = intended_ && submitted_count() == 0;
  const auto accused = orderly || closing_ ? std::vector<wire::RequestId>() : accuse(now);
  trial_ = 0;
  settle_calls(out);
  if (closing_) {
    enter(Phase::closed);
    fail_all({Errc::unavailable, "The server is shutting down; retry in a minute."}, out);
  } else if (orderly) {
    enter(Phase::idle);
  } else if (load_failed_ && !restarting_) {
    mark_failed(load_failed_->message, now, out);
  } else {
    crashed(now, accused, out);
  }
  process_.reset();
}

/// Ends the calls that need no further engine and makes the others ready to be sent again.
void ModelSlot::settle_calls(Deliveries& out) {
  std::vector<wire::RequestId> over;
  for (auto& [id, call] : calls_) {
    if (call->submitted && call->progress) call->progress->interrupted();
    call->submitted = false;
    call->on_adapter = false;
    call->cleared = false;
    if (call->cancelled || (call->progress && call->progress->complete())) over.push_back(id);
  }
  for (const auto id : over) {
    const auto done = calls_[id]->progress ? calls_[id]->progress->closed({}) : wire::Done{};
    auto call = take(id, Outcome::ok, done);
    out.emplace_back([call, done] { tell_done(*call, done); });
  }
}

void ModelSlot::log_ending() const {
  const auto& why = kill_reason_.empty() ? process_->ending() : kill_reason_;
  if (intended_ || closing_) {
    log::info("model {}: engine process {} ended ({})", name_, process_->pid(), why);
    return;
  }
  log::warn("model {}: engine process {} was lost ({}); its last {} lines follow", name_,
            process_->pid(), why, process_->last_lines().size());
  for (const auto& line : process_->last_lines()) log::warn("engine {}: {}", process_->pid(), line);
}

/// Whoever was in the engine may have stopped it; if suspects were, they did. Gives those that
/// have now been there often enough to be condemned, which only one alone can be.
std::vector<wire::RequestId> ModelSlot::accuse(TimePoint now) {
  const auto calls = calls_ | std::views::values;
  const bool suspects = std::ranges::any_of(
      calls, [this](const auto& call) { return call->inside() && is_suspect(*call); });
  std::vector<wire::RequestId> accused;
  for (const auto& call : calls) {
    if (!call->inside() || (suspects && !is_suspect(*call))) continue;
    if (now - call->last_crash > options_->crash_window) call->crashes = 0;
    ++call->crashes;
    call->last_crash = now;
    if (needs_solitude(*call)) accused.push_back(call->id);
  }
  return accused;
}

bool ModelSlot::condemn(wire::RequestId id, Deliveries& out) {
  auto call = take(id, Outcome::error, {});
  if (!call) return false;
  log::warn("model {}: request {} stopped the engine {} times and is given up", name_, id,
            call->crashes);
  out.emplace_back([call] {
    tell_failed(*call, {Errc::internal,
                        std::format("This request stopped the engine {} times; change it before "
                                    "you send it again.",
                                    call->crashes)});
  });
  return true;
}

void ModelSlot::crashed(TimePoint now, const std::vector<wire::RequestId>& accused,
                        Deliveries& out) {
  crashes_.push_back(now);
  while (now - crashes_.front() > options_->crash_window) crashes_.pop_front();
  const auto count = crashes_.size();
  const auto why = !kill_reason_.empty() ? kill_reason_
                   : load_failed_        ? load_failed_->message
                                         : process_->ending();
  if (accused.size() == 1 && condemn(accused.front(), out)) {
    ++convictions_;
    crashes_.clear();
  }
  // Different requests in a row that all stop it: then it is the model after all.
  const bool nobody_to_blame = accused.empty() && crashes_.size() >= options_->crash_limit;
  if (convictions_ >= kConvictionsMax || nobody_to_blame) {
    mark_failed(std::format("its engine stopped {} times within {}, last by: {}", count,
                            text_of(options_->crash_window), why),
                now, out);
    return;
  }
  if (calls_.empty() && waiters_.empty() && keep_ == Keep::while_used) {
    enter(Phase::idle);
    return;
  }
  const auto doublings = std::min<std::size_t>(count > 2 ? count - 2 : 0, 16);
  const auto backoff = std::min(options_->restart_backoff * (1U << doublings), kBackoffMax);
  restart_at_ = now + (count < 2 ? Duration{0} : backoff);
  enter(Phase::backoff);
}

void ModelSlot::mark_failed(std::string reason, TimePoint now, Deliveries& out) {
  if (reason.ends_with('.')) reason.pop_back();  // An engine's own sentence.
  reason_ = std::format("The model \"{}\" is out of service: {}. It is tried again after {}.",
                        name_, reason, text_of(options_->retry_failed_after));
  log::error("{}", reason_);
  retry_at_ = now + options_->retry_failed_after;
  load_wanted_ = keep_ == Keep::always;
  crashes_.clear();
  convictions_ = 0;
  enter(Phase::failed);
  fail_all({Errc::unavailable, reason_}, out);
}

void ModelSlot::begin_close(TimePoint now) {
  Deliveries out;
  {
    const Lock lock(mutex_);
    if (closing_) return;
    closing_ = true;
    std::vector<wire::RequestId> held;
    for (const auto& [id, call] : calls_) {
      if (!call->submitted || !process_) held.push_back(id);
    }
    const Error error{Errc::unavailable, "The server is shutting down; retry in a minute."};
    for (const auto id : held) {
      auto call = take(id, Outcome::error, {});
      out.emplace_back([call, error] { tell_failed(*call, error); });
    }
    for (auto& waiter : waiters_) {
      out.emplace_back(
          [reply = std::move(waiter), error]() mutable { reply(std::unexpected(error)); });
    }
    waiters_.clear();
    if (!process_) {
      enter(Phase::closed);
    } else if (phase_ == Phase::serving) {
      stop(now, options_->drain);
    } else if (phase_ == Phase::starting) {
      intended_ = true;
      kill("the server is shutting down");
    }
  }
  run(out);
}

}  // namespace hf::inference
