// Chat answers, whole and streamed, as the official clients read them.
#include <thread>

#include <gtest/gtest.h>

#include "api/generation_scene.hpp"

namespace hf::api::test {
namespace {

constexpr std::string_view kHello = R"({"model":"m","messages":[{"role":"user","content":"hi"}])";

std::string chat(std::string_view more = "") {
  return std::string(kHello) + std::string(more) + "}";
}
std::string streamed(std::string_view more = "") {
  return chat(R"(,"stream":true)" + std::string(more));
}

TEST(ChatWhole, has_message_finish_reason_and_usage) {
  Scene scene;
  const auto sink = scene.send(chat_completions, chat());
  scene.models.play(says({"Hel", "lo"}));
  ASSERT_TRUE(sink->response);
  EXPECT_EQ(sink->response->status, 200);
  const auto& body = sink->body();
  EXPECT_TRUE(at(body, "id").starts_with("chatcmpl-"));
  EXPECT_EQ(at(body, "object"), "chat.completion");
  EXPECT_EQ(at(body, "model"), "m");
  EXPECT_TRUE(at(body, "system_fingerprint").starts_with("fp_"));
  EXPECT_EQ(at(body, "choices.0.message.role"), "assistant");
  EXPECT_EQ(at(body, "choices.0.message.content"), "Hello");
  EXPECT_EQ(at(body, "choices.0.message.refusal"), "null");
  EXPECT_EQ(at(body, "choices.0.logprobs"), "null");
  EXPECT_EQ(at(body, "choices.0.finish_reason"), "stop");
  EXPECT_EQ(at(body, "usage.prompt_tokens"), "5");
  EXPECT_EQ(at(body, "usage.completion_tokens"), "2");
  EXPECT_EQ(at(body, "usage.total_tokens"), "7");
  EXPECT_EQ(at(body, "usage.prompt_tokens_details.cached_tokens"), "2");
  EXPECT_EQ(at(body, "usage.completion_tokens_details.reasoning_tokens"), "0");
}

TEST(ChatStream, goes_role_text_finish_usage_done) {
  Scene scene;
  const auto sink =
      scene.send(chat_completions, streamed(R"(,"stream_options":{"include_usage":true})"));
  scene.models.play(says({"Hel", "lo"}));
  EXPECT_FALSE(sink->response);
  EXPECT_TRUE(sink->finished);
  EXPECT_EQ(sink->stream->content_type, "text/event-stream; charset=utf-8");
  const auto events = sink->events();
  ASSERT_EQ(events.size(), 6U);
  EXPECT_EQ(at(events[0], "object"), "chat.completion.chunk");
  EXPECT_EQ(at(events[0], "choices.0.delta.role"), "assistant");
  EXPECT_EQ(at(events[0], "choices.0.delta.content"), "");
  EXPECT_EQ(at(events[1], "choices.0.delta.content"), "Hel");
  EXPECT_EQ(at(events[1], "choices.0.delta.role"), "(none)");
  EXPECT_EQ(at(events[1], "choices.0.finish_reason"), "null");
  EXPECT_EQ(at(events[1], "usage"), "null");
  EXPECT_EQ(at(events[2], "choices.0.delta.content"), "lo");
  EXPECT_EQ(at(events[3], "choices.0.delta"), "{}");
  EXPECT_EQ(at(events[3], "choices.0.finish_reason"), "stop");
  EXPECT_EQ(at(events[4], "choices"), "[]");
  EXPECT_EQ(at(events[4], "usage.total_tokens"), "7");
  EXPECT_EQ(events[5], "[DONE]");
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(at(events[i], "id"), at(events[0], "id"));
}

TEST(ChatStream, has_no_usage_unless_asked) {
  Scene scene;
  const auto sink = scene.send(chat_completions, streamed());
  scene.models.play(says({"a"}));
  const auto events = sink->events();
  ASSERT_EQ(events.size(), 4U);
  for (const auto& event : events) EXPECT_EQ(event.find("usage"), std::string::npos);
}

TEST(ChatStream, starts_with_the_first_event_and_not_before) {
  Scene scene;
  const auto sink = scene.send(chat_completions, streamed());
  EXPECT_FALSE(sink->stream);
  scene.models.play({wire::Started{.prompt_tokens = 1}});
  ASSERT_TRUE(sink->stream);
  EXPECT_EQ(sink->events().size(), 1U);
  scene.models.play({wire::Delta{.tokens = {1}, .text = "a"}});
  EXPECT_EQ(sink->writes.size(), 2U);
  EXPECT_FALSE(sink->finished);
  EXPECT_EQ(scene.models.asked[0]->dropped, false);
}

TEST(ChatStream, gives_each_choice_its_own_deltas) {
  Scene scene;
  const auto sink = scene.send(chat_completions, streamed(R"(,"n":2)"));
  EXPECT_EQ(scene.request().choices, 2U);
  scene.models.play({wire::Started{.prompt_tokens = 1},
                     wire::Delta{.choice = 1, .tokens = {1}, .text = "one"},
                     wire::Delta{.choice = 0, .tokens = {2}, .text = "zero"},
                     wire::ChoiceDone{.choice = 1, .reason = wire::FinishReason::length},
                     wire::ChoiceDone{.choice = 0}, wire::Done{.completion_tokens = 2}});
  const auto events = sink->events();
  ASSERT_EQ(events.size(), 7U);
  EXPECT_EQ(at(events[0], "choices.0.index"), "0");
  EXPECT_EQ(at(events[1], "choices.0.index"), "1");
  EXPECT_EQ(at(events[1], "choices.0.delta.role"), "assistant");
  EXPECT_EQ(at(events[2], "choices.0.index"), "1");
  EXPECT_EQ(at(events[2], "choices.0.delta.content"), "one");
  EXPECT_EQ(at(events[3], "choices.0.delta.content"), "zero");
  EXPECT_EQ(at(events[4], "choices.0.finish_reason"), "length");
  EXPECT_EQ(at(events[5], "choices.0.finish_reason"), "stop");
}

TEST(ChatStream, ends_with_an_error_event_when_it_breaks) {
  Scene scene;
  const auto sink = scene.send(chat_completions, streamed());
  scene.models.play({wire::Started{}, wire::Delta{.tokens = {1}, .text = "a"},
                     Error{Errc::unavailable, "The engine stopped; retry.", "secret path"}});
  const auto events = sink->events();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(at(events[2], "error.message"), "The engine stopped; retry.");
  EXPECT_EQ(at(events[2], "error.code"), "service_unavailable");
  EXPECT_TRUE(sink->finished);
  EXPECT_EQ(sink->body().find("secret"), std::string::npos);
  EXPECT_EQ(sink->body().find("[DONE]"), std::string::npos);
}

TEST(ChatStream, refuses_with_a_status_before_it_began) {
  Scene scene;
  const auto sink = scene.send(chat_completions, streamed());
  scene.models.play({Error{Errc::invalid_argument,
                           "This model's maximum context length is 8 tokens; the prompt has 9.",
                           {},
                           "messages"}});
  ASSERT_TRUE(sink->response);
  EXPECT_FALSE(sink->stream);
  EXPECT_EQ(sink->response->status, 400);
  EXPECT_EQ(at(sink->body(), "error.code"), "context_length_exceeded");
  EXPECT_EQ(at(sink->body(), "error.type"), "invalid_request_error");
}

TEST(ChatStream, says_429_with_retry_after_when_the_queue_is_full) {
  Scene scene;
  scene.models.refusal = Error{Errc::resource_exhausted, "Too many requests wait; retry."};
  const auto sink = scene.send(chat_completions, streamed());
  ASSERT_TRUE(sink->response);
  EXPECT_EQ(sink->response->status, 429);
  ASSERT_FALSE(sink->response->headers.empty());
  EXPECT_EQ(sink->response->headers[0].first, "retry-after");
}

TEST(ChatStream, cancels_when_the_client_leaves) {
  Scene scene;
  const auto sink = scene.send(chat_completions, streamed());
  scene.models.play({wire::Started{}});
  ASSERT_TRUE(sink->gone);
  sink->gone();
  EXPECT_TRUE(scene.models.asked[0]->dropped);
  const auto before = sink->writes.size();
  scene.models.play({wire::Delta{.tokens = {1}, .text = "a"}, wire::Done{}});
  EXPECT_EQ(sink->writes.size(), before);
}

TEST(ChatStream, cancels_when_a_write_finds_the_client_gone) {
  Scene scene;
  const auto sink = scene.send(chat_completions, streamed());
  scene.models.play({wire::Started{}});
  sink->state = SinkState::gone;
  scene.models.play({wire::Delta{.tokens = {1}, .text = "a"}});
  EXPECT_TRUE(scene.models.asked[0]->dropped);
}

TEST(ChatWhole, cancels_when_the_client_leaves) {
  Scene scene;
  const auto sink = scene.send(chat_completions, chat());
  sink->gone();
  EXPECT_TRUE(scene.models.asked[0]->dropped);
}

TEST(ChatRun, lets_go_of_sink_and_generation_at_the_end) {
  Scene scene;
  auto sink = scene.send(chat_completions, streamed());
  const std::weak_ptr<CollectingSink> watched = sink;
  scene.models.play(says({"a"}));
  EXPECT_TRUE(scene.models.asked[0]->dropped);
  sink = nullptr;
  EXPECT_TRUE(watched.expired());
}

TEST(ChatRun, takes_an_answer_that_comes_before_generate_returns) {
  Scene scene;
  scene.models.at_once = says({"quick"});
  const auto sink = scene.send(chat_completions, chat());
  ASSERT_TRUE(sink->response);
  EXPECT_EQ(at(sink->body(), "choices.0.message.content"), "quick");
  EXPECT_TRUE(scene.models.asked[0]->dropped);
}

TEST(ChatRun, serves_while_the_client_leaves_on_another_thread) {
  for (int round = 0; round < 50; ++round) {
    Scene scene;
    const auto sink = scene.send(chat_completions, streamed());
    std::thread engine([&scene] { scene.models.play(says({"a", "b", "c", "d"})); });
    sink->gone();
    engine.join();
    EXPECT_TRUE(scene.models.asked[0]->dropped);
  }
}

TEST(ChatRun, waits_for_a_model_that_is_not_loaded) {
  Scene scene;
  auto ready = scene.models.known[0];
  scene.models.known[0].state = inference::ModelState::unloaded;
  scene.models.known[0].ready = {};
  const auto sink = scene.send(chat_completions, chat());
  EXPECT_TRUE(scene.models.asked.empty());
  ASSERT_EQ(scene.models.waiting.size(), 1U);
  scene.models.waiting[0](ready);
  scene.models.play(says({"loaded"}));
  EXPECT_EQ(at(sink->body(), "choices.0.message.content"), "loaded");
}

TEST(ChatRun, asks_nothing_for_a_client_that_left_while_the_model_loaded) {
  Scene scene;
  auto ready = scene.models.known[0];
  scene.models.known[0].state = inference::ModelState::loading;
  const auto sink = scene.send(chat_completions, chat());
  sink->left = true;
  scene.models.waiting[0](ready);
  EXPECT_TRUE(scene.models.asked.empty());
}

TEST(ChatRun, tells_why_a_model_cannot_be_loaded) {
  Scene scene;
  scene.models.known[0].state = inference::ModelState::failed;
  const auto sink = scene.send(chat_completions, chat());
  scene.models.waiting[0](fail(Errc::unavailable, "The model's file is damaged."));
  ASSERT_TRUE(sink->response);
  EXPECT_EQ(sink->response->status, 503);
}

TEST(ChatRun, says_504_if_time_ran_out_before_the_first_token) {
  Scene scene;
  const auto sink = scene.send(chat_completions, chat());
  scene.models.play(
      {wire::Started{}, wire::ChoiceDone{.reason = wire::FinishReason::deadline}, wire::Done{}});
  EXPECT_EQ(sink->response->status, 504);
  const auto later = scene.send(chat_completions, chat());
  scene.models.play(says({"half"}, wire::FinishReason::deadline), 1);
  EXPECT_EQ(at(later->body(), "choices.0.finish_reason"), "length");
}

TEST(ChatRun, fails_when_the_server_stops_it) {
  Scene scene;
  const auto sink = scene.send(chat_completions, chat());
  scene.models.play(
      {wire::Started{}, wire::ChoiceDone{.reason = wire::FinishReason::cancelled}, wire::Done{}});
  EXPECT_EQ(sink->response->status, 503);
}

TEST(ChatText, stays_utf_8_in_every_chunk) {
  Scene scene;
  const auto sink = scene.send(chat_completions, streamed());
  scene.models.play(says({"你好", "，世界", "🙂\n\"\\\t\x01"}));
  EXPECT_EQ(joined(*sink, "choices.0.delta.content"), "你好，世界🙂\n\"\\\t\x01");
}

TEST(ChatLogprobs, are_whole_and_in_order) {
  const wire::TokenLogprob first{.token = 1,
                                 .logprob = -0.5F,
                                 .bytes = "\xE4\xBD",
                                 .top = {{.token = 1, .logprob = -0.5F, .bytes = "\xE4\xBD"}}};
  const wire::TokenLogprob second{.token = 2, .logprob = -1.5F, .bytes = "\xA0"};
  const Script script = {wire::Started{}, wire::Delta{.tokens = {1}, .logprobs = {first}},
                         wire::Delta{.tokens = {2}, .text = "你", .logprobs = {second}},
                         wire::ChoiceDone{}, wire::Done{.completion_tokens = 2}};
  for (const bool stream : {false, true}) {
    Scene scene;
    const std::string more = R"(,"logprobs":true,"top_logprobs":1)";
    const auto sink = scene.send(chat_completions, stream ? streamed(more) : chat(more));
    EXPECT_EQ(scene.request().sampling.logprobs, 1);
    scene.models.play(script);
    const auto body = stream ? sink->events().at(1) : sink->body();
    EXPECT_EQ(at(body, "choices.0.logprobs.content.0.bytes"), "[228,189]");
    EXPECT_EQ(at(body, "choices.0.logprobs.content.0.top_logprobs.0.logprob"), "-0.5");
    EXPECT_EQ(at(body, "choices.0.logprobs.content.1.logprob"), "-1.5");
    EXPECT_EQ(at(body, "choices.0.logprobs.refusal"), "null");
  }
}

}  // namespace
}  // namespace hf::api::test
