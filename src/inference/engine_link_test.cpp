#include "inference/engine_link.hpp"

#include <thread>

#include <gtest/gtest.h>
#include <poll.h>

#include "wire/channel.hpp"

namespace hf::inference {
namespace {

TEST(EngineLink, never_blocks_and_keeps_the_order) {
  const auto pair = wire::make_socket_pair().value();
  EngineLink link(pair.parent);
  wire::Channel engine(pair.child);
  constexpr wire::RequestId kCount = 200;
  for (wire::RequestId id = 1; id <= kCount; ++id) {
    wire::Tokenize request;
    request.id = id;
    request.prompt.text.assign(100'000, 'a');
    link.send(request);
  }
  EXPECT_TRUE(link.has_waiting());
  std::thread sender([&link] {
    while (link.has_waiting()) {
      pollfd fd{.fd = link.fd(), .events = POLLOUT, .revents = 0};
      ::poll(&fd, 1, 1000);
      link.flush();
    }
  });
  for (wire::RequestId id = 1; id <= kCount; ++id) {
    const auto message = engine.receive_to_engine();
    ASSERT_TRUE(message);
    EXPECT_EQ(std::get<wire::Tokenize>(*message).id, id);
  }
  sender.join();
}

TEST(EngineLink, forgets_what_a_lost_peer_will_not_read) {
  const auto pair = wire::make_socket_pair().value();
  EngineLink link(pair.parent);
  {
    const wire::Channel engine(pair.child);
  }
  link.send(wire::Ping{1});
  EXPECT_FALSE(link.has_waiting());
  EXPECT_EQ(link.receive().error().code, Errc::unavailable);
}

}  // namespace
}  // namespace hf::inference
