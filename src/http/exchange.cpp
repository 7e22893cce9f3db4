#include "http/exchange.hpp"

#include <algorithm>
#include <utility>

namespace hf::http {

Outbox::Outbox(Post post, std::function<void()> turn, std::uint64_t unsent_max)
    : post_(std::move(post)), turn_(std::move(turn)), unsent_max_(unsent_max) {}

void Outbox::wake(bool& wanted) const {
  if (!std::exchange(wanted, false)) return;
  post_([turn = turn_] { turn(); });
}

api::SinkState Outbox::put_stream(std::string_view bytes) {
  bool wanted = false;
  auto state = api::SinkState::open;
  {
    const Lock lock(mutex_);
    if (closed_ || waiting_.cut) return api::SinkState::gone;
    if (unsent_ + bytes.size() > unsent_max_) {
      waiting_.cut = true;
      state = api::SinkState::gone;
    } else {
      waiting_.bytes.append(bytes);
      unsent_ += bytes.size();
    }
    waiting_.any = true;
    wanted = !std::exchange(turn_posted_, true);
  }
  wake(wanted);
  return state;
}

void Outbox::put_last(std::string_view bytes, Afterwards afterwards) {
  bool wanted = false;
  {
    const Lock lock(mutex_);
    if (closed_) return;
    waiting_.bytes.append(bytes);
    unsent_ += bytes.size();
    waiting_.any = waiting_.answered = true;
    waiting_.afterwards = afterwards;
    wanted = !std::exchange(turn_posted_, true);
  }
  wake(wanted);
}

void Outbox::cut() {
  bool wanted = false;
  {
    const Lock lock(mutex_);
    if (closed_) return;
    waiting_.any = waiting_.cut = true;
    wanted = !std::exchange(turn_posted_, true);
  }
  wake(wanted);
}

void Outbox::begin_turn() {
  const Lock lock(mutex_);
  turn_posted_ = true;
}

Outbox::Taken Outbox::take() {
  const Lock lock(mutex_);
  if (!waiting_.any) turn_posted_ = false;
  return std::exchange(waiting_, {});
}

void Outbox::sent(std::size_t bytes) {
  const Lock lock(mutex_);
  unsent_ -= std::min<std::uint64_t>(unsent_, bytes);
}

void Outbox::close() {
  const Lock lock(mutex_);
  closed_ = true;
  waiting_ = {};
}

Exchange::Exchange(ExchangeTraits traits, std::shared_ptr<Outbox> outbox, StreamMetrics metrics,
                   std::function<bool()> draining)
    : traits_(std::move(traits)), outbox_(std::move(outbox)), metrics_(metrics),
      draining_(std::move(draining)) {}

Exchange::~Exchange() {
  Phase phase = Phase::done;
  {
    const Lock lock(mutex_);
    if (!gone_) phase = phase_;
  }
  if (phase == Phase::fresh) {
    respond(error_response({500, "no_answer", "The request ended without an answer; try again."}));
  } else if (phase == Phase::streaming) {
    metrics_.active.add(-1);
    outbox_->cut();
  }
}

Afterwards Exchange::afterwards() const {
  return traits_.keep_alive && !draining_() ? Afterwards::keep : Afterwards::close;
}

ResponseHead Exchange::head(int status, std::string_view content_type) const {
  return {.status = status,
          .content_type = content_type,
          .request_id = traits_.request_id,
          .afterwards = afterwards(),
          .http_1_0 = traits_.protocol == Protocol::http_1_0,
          .over_tls = traits_.over_tls};
}

namespace {

bool bodiless(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

void Exchange::respond(api::HttpResponse response) {
  std::move_only_function<void()> dropped;
  const Lock lock(mutex_);
  if (phase_ != Phase::fresh) return;
  phase_ = Phase::done;
  dropped = std::exchange(gone_callback_, {});
  auto text = head(response.status, response.content_type);
  text.body_bytes = response.body.size();
  if (bodiless(response.status)) text.framing = BodyFraming::none;
  auto bytes = head_text(text, response.headers);
  if (text.framing == BodyFraming::length && !traits_.head_only) bytes += response.body;
  outbox_->put_last(bytes, text.afterwards);
}

api::SinkState Exchange::start_stream(int status, std::string content_type, api::Headers headers) {
  const Lock lock(mutex_);
  if (phase_ != Phase::fresh || gone_) return api::SinkState::gone;
  phase_ = Phase::streaming;
  metrics_.active.add(1);
  auto text = head(status, content_type);
  text.framing = framed() ? BodyFraming::chunked : BodyFraming::close;
  if (bodiless(status)) text.framing = BodyFraming::none;
  if (text.framing == BodyFraming::close) text.afterwards = Afterwards::close;
  body_allowed_ = text.framing != BodyFraming::none && !traits_.head_only;
  stream_afterwards_ = text.afterwards;
  return outbox_->put_stream(head_text(text, headers));
}

api::SinkState Exchange::write(std::string bytes) {
  const Lock lock(mutex_);
  if (phase_ != Phase::streaming || gone_) return api::SinkState::gone;
  if (!body_allowed_ || bytes.empty()) return api::SinkState::open;
  if (!framed()) return outbox_->put_stream(bytes);
  std::string chunk;
  chunk.reserve(bytes.size() + 12);
  append_chunk(chunk, bytes);
  return outbox_->put_stream(chunk);
}

void Exchange::finish() {
  std::move_only_function<void()> dropped;
  const Lock lock(mutex_);
  if (phase_ != Phase::streaming || gone_) return;
  phase_ = Phase::done;
  metrics_.active.add(-1);
  dropped = std::exchange(gone_callback_, {});
  outbox_->put_last(framed() && body_allowed_ ? kLastChunk : "", stream_afterwards_);
}

void Exchange::on_gone(std::move_only_function<void()> callback) {
  const Lock lock(mutex_);
  if (phase_ == Phase::done) return;
  if (gone_) return outbox_->post(std::move(callback));
  gone_callback_ = std::move(callback);
}

void Exchange::client_left() {
  std::move_only_function<void()> callback;
  {
    const Lock lock(mutex_);
    if (phase_ == Phase::done || std::exchange(gone_, true)) return;
    if (phase_ == Phase::streaming) {
      metrics_.active.add(-1);
      metrics_.client_aborts.add();
    }
    callback = std::exchange(gone_callback_, {});
  }
  if (callback) callback();
}

}  // namespace hf::http
