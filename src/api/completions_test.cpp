// Text completions: prompts in every form, whole and streamed.
#include <gtest/gtest.h>

#include "api/generation_scene.hpp"

namespace hf::api::test {
namespace {

std::string body(std::string_view prompt, std::string_view more = "") {
  return R"({"model":"m","prompt":)" + std::string(prompt) + std::string(more) + "}";
}

TEST(Completions, have_text_and_usage) {
  Scene scene;
  const auto sink = scene.send(completions, body(R"("Once")"));
  EXPECT_EQ(scene.request().prompt.text, "Once");
  EXPECT_EQ(scene.request().max_tokens, 16U);
  scene.models.play(says({" upon", " a", " time <think>"}));
  const auto& answer = sink->body();
  EXPECT_TRUE(at(answer, "id").starts_with("cmpl-"));
  EXPECT_EQ(at(answer, "object"), "text_completion");
  EXPECT_EQ(at(answer, "choices.0.text"), " upon a time <think>");
  EXPECT_EQ(at(answer, "choices.0.logprobs"), "null");
  EXPECT_EQ(at(answer, "choices.0.finish_reason"), "stop");
  EXPECT_EQ(at(answer, "usage.total_tokens"), "8");
}

TEST(Completions, take_token_lists) {
  Scene scene;
  scene.send(completions, body("[1,2,3]"));
  EXPECT_EQ(scene.request().prompt.kind, wire::PromptKind::tokens);
  EXPECT_EQ(scene.request().prompt.tokens, (std::vector<wire::Token>{1, 2, 3}));
}

TEST(Completions, number_choices_by_prompt) {
  Scene scene;
  const auto sink = scene.send(completions, body(R"(["a",[7],"c"])", R"(,"n":2,"seed":5)"));
  ASSERT_EQ(scene.models.asked.size(), 3U);
  EXPECT_EQ(scene.request(1).prompt.tokens, std::vector<wire::Token>{7});
  EXPECT_NE(scene.request(0).sampling.seed, scene.request(1).sampling.seed);
  const auto play = [&scene](std::size_t part, const std::string& text) {
    scene.models.play(
        {wire::Started{}, wire::Delta{.choice = 0, .tokens = {1}, .text = text + "0"},
         wire::Delta{.choice = 1, .tokens = {1}, .text = text + "1"}, wire::ChoiceDone{.choice = 0},
         wire::ChoiceDone{.choice = 1}, wire::Done{.prompt_tokens = 1, .completion_tokens = 2}},
        part);
  };
  play(2, "third");
  play(0, "first");
  EXPECT_FALSE(sink->response);
  play(1, "second");
  ASSERT_TRUE(sink->response);
  EXPECT_EQ(at(sink->body(), "choices.0.text"), "first0");
  EXPECT_EQ(at(sink->body(), "choices.3.text"), "second1");
  EXPECT_EQ(at(sink->body(), "choices.5.text"), "third1");
  EXPECT_EQ(at(sink->body(), "choices.5.index"), "5");
  EXPECT_EQ(at(sink->body(), "usage.completion_tokens"), "6");
}

TEST(Completions, fail_together) {
  Scene scene;
  const auto sink = scene.send(completions, body(R"(["a","b"])"));
  scene.models.play({wire::Started{}}, 0);
  scene.models.play({Error{Errc::invalid_argument, "Bad."}}, 1);
  EXPECT_EQ(sink->response->status, 400);
  EXPECT_TRUE(scene.models.asked[0]->dropped);
  scene.models.play({wire::Delta{.text = "x"}, wire::ChoiceDone{}, wire::Done{}}, 0);
}

TEST(Completions, stream_text_finish_usage_done) {
  Scene scene;
  const auto sink = scene.send(
      completions, body(R"("x")", R"(,"stream":true,"stream_options":{"include_usage":true})"));
  scene.models.play(says({"a", "b"}, wire::FinishReason::length));
  const auto events = sink->events();
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(at(events[0], "choices.0.text"), "a");
  EXPECT_EQ(at(events[0], "choices.0.finish_reason"), "null");
  EXPECT_EQ(at(events[2], "choices.0.text"), "");
  EXPECT_EQ(at(events[2], "choices.0.finish_reason"), "length");
  EXPECT_EQ(at(events[3], "choices"), "[]");
  EXPECT_EQ(at(events[3], "usage.total_tokens"), "7");
  EXPECT_EQ(events[4], "[DONE]");
}

TEST(Completions, echo_the_prompt) {
  for (const bool stream : {false, true}) {
    Scene scene;
    const auto sink = scene.send(
        completions,
        body(R"(["ab","cd"])", stream ? R"(,"echo":true,"stream":true)" : R"(,"echo":true)"));
    scene.models.play(says({"1"}), 0);
    scene.models.play(says({"2"}), 1);
    if (stream) {
      EXPECT_EQ(joined(*sink, "choices.0.text"), "abcd12");
    } else {
      EXPECT_EQ(at(sink->body(), "choices.0.text"), "ab1");
      EXPECT_EQ(at(sink->body(), "choices.1.text"), "cd2");
    }
  }
}

TEST(Completions, give_logprobs_in_the_old_form) {
  const wire::TokenLogprob first{.token = 1,
                                 .logprob = -0.5F,
                                 .bytes = "é",
                                 .top = {{.token = 9, .logprob = -0.25F, .bytes = "\xE9"}}};
  const wire::TokenLogprob second{.token = 2, .logprob = -1, .bytes = "b"};
  Scene scene;
  const auto sink = scene.send(completions, body(R"("x")", R"(,"logprobs":1)"));
  EXPECT_EQ(scene.request().sampling.logprobs, 1);
  scene.models.play({wire::Started{},
                     wire::Delta{.tokens = {1, 2}, .text = "éb", .logprobs = {first, second}},
                     wire::ChoiceDone{}, wire::Done{}});
  const auto& answer = sink->body();
  EXPECT_EQ(at(answer, "choices.0.logprobs.tokens"), R"(["é","b"])");
  EXPECT_EQ(at(answer, "choices.0.logprobs.token_logprobs"), "[-0.5,-1]");
  EXPECT_EQ(at(answer, "choices.0.logprobs.text_offset"), "[0,1]");
  EXPECT_EQ(at(answer, "choices.0.logprobs.top_logprobs.0"), R"({"bytes:\\xe9":-0.25,"é":-0.5})");
}

TEST(Completions, refuse_by_name) {
  for (const auto& [request, param] : std::vector<std::pair<std::string, std::string>>{
           {R"({"model":"m"})", "prompt"},
           {body("[]"), "prompt"},
           {body("7"), "prompt"},
           {body("[1,\"a\"]"), "prompt"},
           {body("[-1]"), "prompt"},
           {body("[[]]"), "prompt[0]"},
           {body(R"("a")", R"(,"suffix":"x")"), "suffix"},
           {body(R"("a")", R"(,"best_of":2)"), "best_of"},
           {body(R"("a")", R"(,"logprobs":true)"), "logprobs"},
           {body(R"("a")", R"(,"logprobs":21)"), "logprobs"},
           {body(R"("a")", R"(,"max_tokens":0)"), "max_tokens"},
           {body(R"("a")", R"(,"echo":true,"logprobs":1)"), "echo"},
           {body("[1]", R"(,"echo":true)"), "echo"},
           {body(R"("a")", R"(,"messages":[])"), "messages"},
           {body(R"("a")", R"(,"tools":[])"), "tools"}}) {
    Scene scene;
    const auto sink = scene.send(completions, request);
    ASSERT_TRUE(sink->response) << request;
    EXPECT_EQ(sink->response->status, 400);
    EXPECT_EQ(at(sink->body(), "error.param"), param) << request;
  }
}

TEST(Completions, allow_best_of_that_is_n) {
  Scene scene;
  const auto sink = scene.send(completions, body(R"("a")", R"(,"best_of":2,"n":2)"));
  EXPECT_FALSE(sink->response);
}

TEST(Completions, need_no_chat_template) {
  Scene scene;
  scene.template_is("");
  const auto sink = scene.send(completions, body(R"("a")"));
  EXPECT_FALSE(sink->response);
}

}  // namespace
}  // namespace hf::api::test
