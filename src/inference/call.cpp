#include "inference/call.hpp"

namespace hf::inference {

void tell_failed(Call& call, const Error& error) {
  if (call.reply) {
    if (!call.muted) call.reply(std::unexpected(error));
    return;
  }
  if (call.muted || !call.listener) return;
  if (call.cancelled) {
    call.listener->on_done(call.progress->closed({}));
  } else {
    call.listener->on_failed(error);
  }
}

void tell_done(Call& call, const wire::Done& event) {
  if (!call.muted && call.listener) call.listener->on_done(event);
}

}  // namespace hf::inference
