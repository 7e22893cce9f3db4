#include <gtest/gtest.h>

#include <thread>

#include "wire/channel.hpp"
#include "wire/codec.hpp"

namespace hf::wire {
namespace {

Generate sample() {
  Generate request;
  request.id = 7;
  request.prompt.kind = PromptKind::chat;
  request.prompt.messages_json = R"([{"role":"user","content":"héllo"}])";
  request.sampling.logit_bias = {{.token = 5, .bias = -100}};
  request.grammar = {.kind = GrammarKind::choice, .choices = {"yes", "no"}};
  request.resume = {{1, 2, 3}, {}};
  request.resume_finished = {1, 0};
  request.resume_text_bytes = {9, 0};
  return request;
}

std::string body_of(const std::string& frame) { return frame.substr(4); }

TEST(Codec, returns_what_was_sent) {
  std::string frame;
  encode(ToEngine(sample()), frame);
  const auto back = decode_to_engine(body_of(frame));
  ASSERT_TRUE(back);
  const auto& request = std::get<Generate>(*back);
  EXPECT_EQ(request.prompt.messages_json, sample().prompt.messages_json);
  EXPECT_EQ(request.sampling.logit_bias.at(0).bias, -100);
  EXPECT_EQ(request.grammar.choices, sample().grammar.choices);
  EXPECT_EQ(request.resume, sample().resume);
  EXPECT_EQ(request.resume_finished, sample().resume_finished);
  EXPECT_EQ(request.resume_text_bytes, sample().resume_text_bytes);
}

TEST(Codec, refuses_every_shortened_or_lengthened_frame) {
  std::string frame;
  encode(ToEngine(sample()), frame);
  const auto body = body_of(frame);
  for (std::size_t n = 0; n < body.size(); ++n) EXPECT_FALSE(decode_to_engine(body.substr(0, n)));
  EXPECT_FALSE(decode_to_engine(body + "x"));
  EXPECT_FALSE(decode_to_server("\xFF"));
}

TEST(FrameReader, gives_frames_whatever_the_pieces) {
  std::string stream;
  for (RequestId id = 0; id < 20; ++id) encode(ToServer(Ack{id}), stream);
  for (const std::size_t piece : {1U, 3U, 7U, 1000U}) {
    FrameReader reader;
    RequestId expected = 0;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      reader.feed(std::string_view(stream).substr(at, piece));
      for (auto body = reader.next(); body && *body; body = reader.next()) {
        EXPECT_EQ(std::get<Ack>(decode_to_server(**body).value()).id, expected++);
      }
    }
    EXPECT_EQ(expected, 20U);
  }
}

TEST(FrameReader, refuses_a_length_over_the_limit) {
  FrameReader reader;
  reader.feed("\xFF\xFF\xFF\xFF");
  EXPECT_EQ(reader.next().error().code, Errc::data_corrupt);
}

TEST(Channel, carries_messages_and_sees_the_peer_leave) {
  const auto pair = make_socket_pair().value();
  Channel left(pair.parent);
  {
    Channel right(pair.child);
    ASSERT_TRUE(left.send(ToEngine(Cancel{42})));
    EXPECT_EQ(std::get<Cancel>(right.receive_to_engine().value()).id, 42U);
  }
  EXPECT_EQ(left.receive_to_server().error().code, Errc::unavailable);
}

}  // namespace
}  // namespace hf::wire
