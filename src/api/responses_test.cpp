// /v1/responses: input items, the response object, the stream of typed events.
#include <gtest/gtest.h>

#include "api/generation_scene.hpp"

namespace hf::api::test {
namespace {

constexpr std::string_view kTools =
    R"(,"tools":[{"type":"function","name":"add","description":"adds",)"
    R"("parameters":{"type":"object"},"strict":null}])";

std::string body(std::string_view input, std::string_view more = "") {
  return R"({"model":"m","input":)" + std::string(input) + std::string(more) + "}";
}

std::vector<std::string> types(const CollectingSink& sink) {
  std::vector<std::string> found;
  for (const auto& event : sink.events()) found.push_back(at(event, "type"));
  return found;
}

TEST(Responses, have_message_and_usage) {
  Scene scene;
  const auto sink = scene.send(
      responses,
      body(R"("hi")", R"(,"instructions":"be kind","max_output_tokens":50,"metadata":{"a":"b"})"));
  EXPECT_EQ(scene.request().prompt.messages_json,
            R"([{"role":"system","content":"be kind"},{"role":"user","content":"hi"}])");
  EXPECT_EQ(scene.request().max_tokens, 50U);
  scene.models.play(says({"Hel", "lo"}));
  const auto& answer = sink->body();
  EXPECT_TRUE(at(answer, "id").starts_with("resp_"));
  EXPECT_EQ(at(answer, "object"), "response");
  EXPECT_EQ(at(answer, "status"), "completed");
  EXPECT_EQ(at(answer, "error"), "null");
  EXPECT_EQ(at(answer, "incomplete_details"), "null");
  EXPECT_EQ(at(answer, "instructions"), "be kind");
  EXPECT_EQ(at(answer, "max_output_tokens"), "50");
  EXPECT_EQ(at(answer, "metadata.a"), "b");
  EXPECT_EQ(at(answer, "store"), "false");
  EXPECT_EQ(at(answer, "output.0.type"), "message");
  EXPECT_TRUE(at(answer, "output.0.id").starts_with("msg_"));
  EXPECT_EQ(at(answer, "output.0.status"), "completed");
  EXPECT_EQ(at(answer, "output.0.content.0.type"), "output_text");
  EXPECT_EQ(at(answer, "output.0.content.0.text"), "Hello");
  EXPECT_EQ(at(answer, "output.0.content.0.annotations"), "[]");
  EXPECT_EQ(at(answer, "usage.input_tokens"), "5");
  EXPECT_EQ(at(answer, "usage.input_tokens_details.cached_tokens"), "2");
  EXPECT_EQ(at(answer, "usage.output_tokens"), "2");
  EXPECT_EQ(at(answer, "usage.total_tokens"), "7");
}

TEST(Responses, stream_the_full_sequence) {
  Scene scene;
  const auto sink = scene.send(responses, body(R"("hi")", R"(,"stream":true)"));
  scene.models.play(says({"Hel", "lo"}));
  EXPECT_EQ(types(*sink),
            (std::vector<std::string>{"response.created", "response.in_progress",
                                      "response.output_item.added", "response.content_part.added",
                                      "response.output_text.delta", "response.output_text.delta",
                                      "response.output_text.done", "response.content_part.done",
                                      "response.output_item.done", "response.completed"}));
  const auto events = sink->events();
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(at(events[i], "sequence_number"), std::to_string(i));
  }
  EXPECT_EQ(at(events[0], "response.status"), "in_progress");
  EXPECT_EQ(at(events[0], "response.usage"), "null");
  EXPECT_EQ(at(events[2], "item.content"), "[]");
  EXPECT_EQ(at(events[2], "item.status"), "in_progress");
  EXPECT_EQ(at(events[3], "part.text"), "");
  EXPECT_EQ(at(events[4], "delta"), "Hel");
  EXPECT_EQ(at(events[4], "item_id"), at(events[2], "item.id"));
  EXPECT_EQ(at(events[4], "output_index"), "0");
  EXPECT_EQ(at(events[4], "content_index"), "0");
  EXPECT_EQ(at(events[4], "logprobs"), "[]");
  EXPECT_EQ(at(events[6], "text"), "Hello");
  EXPECT_EQ(at(events[8], "item.content.0.text"), "Hello");
  EXPECT_EQ(at(events[9], "response.output.0.content.0.text"), "Hello");
  EXPECT_EQ(at(events[9], "response.usage.total_tokens"), "7");
  EXPECT_EQ(sink->body().rfind("event: response.created\ndata: ", 0), 0U);
  EXPECT_EQ(sink->body().find("[DONE]"), std::string::npos);
}

TEST(Responses, give_reasoning_and_calls_as_items) {
  Scene scene;
  scene.template_is("{{ tools }} <tool_call> <think>");
  const std::vector<std::string> texts = {"<think>",
                                          "Hm",
                                          "m</think>",
                                          "Wait.",
                                          "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":",
                                          "1}}</tool_call>"};
  const auto sink =
      scene.send(responses, body(R"("hi")", R"(,"stream":true)" + std::string(kTools)));
  EXPECT_EQ(scene.request().prompt.tools_json,
            R"([{"type":"function","function":{"name":"add","description":"adds",)"
            R"("parameters":{"type":"object"}}}])");
  scene.models.play(says(texts));
  EXPECT_EQ(types(*sink), (std::vector<std::string>{"response.created",
                                                    "response.in_progress",
                                                    "response.output_item.added",
                                                    "response.content_part.added",
                                                    "response.reasoning_text.delta",
                                                    "response.reasoning_text.delta",
                                                    "response.reasoning_text.done",
                                                    "response.content_part.done",
                                                    "response.output_item.done",
                                                    "response.output_item.added",
                                                    "response.content_part.added",
                                                    "response.output_text.delta",
                                                    "response.output_text.done",
                                                    "response.content_part.done",
                                                    "response.output_item.done",
                                                    "response.output_item.added",
                                                    "response.function_call_arguments.delta",
                                                    "response.function_call_arguments.delta",
                                                    "response.function_call_arguments.done",
                                                    "response.output_item.done",
                                                    "response.completed"}));
  const auto events = sink->events();
  EXPECT_EQ(at(events[2], "item.type"), "reasoning");
  EXPECT_EQ(at(events[6], "text"), "Hmm");
  EXPECT_EQ(at(events[15], "output_index"), "2");
  EXPECT_EQ(at(events[15], "item.name"), "add");
  EXPECT_EQ(at(events[18], "arguments"), "{\"a\":1}");
  EXPECT_EQ(at(events[19], "item.status"), "completed");
  const auto& last = events.back();
  EXPECT_EQ(at(last, "response.output.0.content.0.text"), "Hmm");
  EXPECT_EQ(at(last, "response.output.2.call_id"), at(events[15], "item.call_id"));

  const auto whole = scene.send(responses, body(R"("hi")", kTools));
  scene.models.play(says(texts), 1);
  EXPECT_EQ(at(whole->body(), "output.0.type"), "reasoning");
  EXPECT_EQ(at(whole->body(), "output.1.content.0.text"), "Wait.");
  EXPECT_EQ(at(whole->body(), "output.2.arguments"), "{\"a\":1}");
  EXPECT_EQ(at(whole->body(), "usage.output_tokens_details.reasoning_tokens"), "3");
}

TEST(Responses, say_incomplete_at_the_token_limit) {
  Scene scene;
  const auto sink = scene.send(responses, body(R"("hi")"));
  scene.models.play(says({"Hel"}, wire::FinishReason::length));
  EXPECT_EQ(at(sink->body(), "status"), "incomplete");
  EXPECT_EQ(at(sink->body(), "incomplete_details.reason"), "max_output_tokens");
  EXPECT_EQ(at(sink->body(), "output.0.status"), "incomplete");
  const auto stream = scene.send(responses, body(R"("hi")", R"(,"stream":true)"));
  scene.models.play(says({"Hel"}, wire::FinishReason::length), 1);
  EXPECT_EQ(types(*stream).back(), "response.incomplete");
}

TEST(Responses, end_in_failed_when_they_break) {
  Scene scene;
  const auto sink = scene.send(responses, body(R"("hi")", R"(,"stream":true)"));
  scene.models.play({wire::Started{}, wire::Delta{.tokens = {1}, .text = "a"},
                     Error{Errc::unavailable, "The engine stopped; retry."}});
  const auto last = sink->events().back();
  EXPECT_EQ(at(last, "type"), "response.failed");
  EXPECT_EQ(at(last, "response.status"), "failed");
  EXPECT_EQ(at(last, "response.error.message"), "The engine stopped; retry.");
  EXPECT_EQ(at(last, "response.output.0.status"), "incomplete");
}

TEST(Responses, have_an_empty_message_where_nothing_was_said) {
  Scene scene;
  const auto sink = scene.send(responses, body(R"("hi")", R"(,"stream":true)"));
  scene.models.play(says({}));
  EXPECT_EQ(types(*sink).size(), 8U);
  const auto whole = scene.send(responses, body(R"("hi")"));
  scene.models.play(says({}), 1);
  EXPECT_EQ(at(whole->body(), "output.0.content.0.text"), "");
}

TEST(Responses, join_an_assistants_items_into_one_message) {
  Scene scene;
  const std::string input =
      R"([{"role":"developer","content":"d"},)"
      R"({"type":"message","role":"user","content":[{"type":"input_text","text":"u"}]},)"
      R"({"type":"reasoning","id":"rs","summary":[],)"
      R"("content":[{"type":"reasoning_text","text":"r"}]},)"
      R"({"type":"message","id":"m","status":"completed","role":"assistant",)"
      R"("content":[{"type":"output_text","text":"a","annotations":[]}]},)"
      R"({"type":"function_call","id":"fc","call_id":"c1","name":"add","arguments":"{}"},)"
      R"({"type":"function_call","call_id":"c2","name":"add","arguments":"{}"},)"
      R"({"type":"function_call_output","call_id":"c1","output":"3"}])";
  const auto sink = scene.send(responses, body(input));
  ASSERT_FALSE(sink->response) << sink->body();
  EXPECT_EQ(scene.request().prompt.messages_json,
            R"([{"role":"developer","content":"d"},)"
            R"({"role":"user","content":[{"type":"input_text","text":"u"}]},)"
            R"({"role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]}],)"
            R"("reasoning_content":"r","tool_calls":[)"
            R"({"id":"c1","type":"function","function":{"name":"add","arguments":"{}"}},)"
            R"({"id":"c2","type":"function","function":{"name":"add","arguments":"{}"}}]},)"
            R"({"role":"tool","tool_call_id":"c1","content":"3"}])");
}

TEST(Responses, constrain_the_output) {
  Scene scene;
  const std::string format =
      R"({"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object"}}})";
  const auto sink = scene.send(responses, body(R"("hi")", R"(,"text":)" + format));
  EXPECT_EQ(scene.request().grammar.text, R"({"type":"object"})");
  scene.models.play(says({"{}"}));
  EXPECT_EQ(at(sink->body(), "text"), format);
}

TEST(Responses, turn_effort_off_and_accept_harmless_members) {
  Scene scene;
  const auto sink = scene.send(
      responses,
      body(R"("hi")", R"(,"reasoning":{"effort":"minimal","summary":"auto"},"store":false,)"
                      R"("include":["reasoning.encrypted_content"],"truncation":"disabled",)"
                      R"("prompt_cache_key":"k","parallel_tool_calls":true)"));
  ASSERT_FALSE(sink->response) << sink->body();
  EXPECT_EQ(scene.request().prompt.template_args_json, R"({"enable_thinking":false})");
}

TEST(Responses, give_logprobs_if_included) {
  Scene scene;
  const auto sink = scene.send(
      responses,
      body(R"("hi")",
           R"(,"stream":true,"top_logprobs":2,"include":["message.output_text.logprobs"])"));
  EXPECT_EQ(scene.request().sampling.logprobs, 2);
  const wire::TokenLogprob entry{.token = 1, .logprob = -0.5F, .bytes = "a"};
  scene.models.play({wire::Started{}, wire::Delta{.tokens = {1}, .text = "a", .logprobs = {entry}},
                     wire::ChoiceDone{}, wire::Done{}});
  const auto events = sink->events();
  EXPECT_EQ(at(events[4], "logprobs.0.token"), "a");
  EXPECT_EQ(at(events[5], "logprobs.0.logprob"), "-0.5");
  EXPECT_EQ(at(events.back(), "response.output.0.content.0.logprobs.0.token"), "a");
}

TEST(Responses, refuse_by_name) {
  for (const auto& [request, param] : std::vector<std::pair<std::string, std::string>>{
           {R"({"model":"m"})", "input"},
           {body("7"), "input"},
           {body("[]"), "input"},
           {body(R"([{"role":"robot","content":"x"}])"), "input[0].role"},
           {body(R"([{"role":"user"}])"), "input[0].content"},
           {body(R"([{"role":"user","content":[{"type":"input_image","image_url":"x"}]}])"),
            "input[0].content[0]"},
           {body(R"([{"type":"item_reference","id":"x"}])"), "input[0]"},
           {body(R"([{"type":"web_search_call","id":"x"}])"), "input[0].type"},
           {body(R"([{"type":"function_call","name":"f","arguments":"{}"}])"), "input[0].call_id"},
           {body(R"([{"type":"function_call_output","call_id":"c"}])"), "input[0].output"},
           {body(R"("a")", R"(,"store":true)"), "store"},
           {body(R"("a")", R"(,"previous_response_id":"resp_1")"), "previous_response_id"},
           {body(R"("a")", R"(,"conversation":"c")"), "conversation"},
           {body(R"("a")", R"(,"background":true)"), "background"},
           {body(R"("a")", R"(,"prompt":{"id":"p"})"), "prompt"},
           {body(R"("a")", R"(,"truncation":"auto")"), "truncation"},
           {body(R"("a")", R"(,"max_tool_calls":1)"), "max_tool_calls"},
           {body(R"("a")", R"(,"include":["file_search_call.results"])"), "include"},
           {body(R"("a")", R"(,"reasoning":{"summary":"detailed"})"), "reasoning.summary"},
           {body(R"("a")", R"(,"tools":[{"type":"web_search"}])"), "tools[0].type"},
           {body(R"("a")", R"(,"tool_choice":"required")"), "tool_choice"},
           {body(R"("a")", R"(,"text":{"format":{"type":"json_schema","name":"n"}})"),
            "text.format.schema"},
           {body(R"("a")", R"(,"text":{"verbosity":"low"})"), "text.verbosity"},
           {body(R"("a")",
                 std::string(R"(,"text":{"format":{"type":"json_object"}})") + std::string(kTools)),
            "text"},
           {body(R"("a")", R"(,"messages":[])"), "messages"}}) {
    Scene scene;
    const auto sink = scene.send(responses, request);
    ASSERT_TRUE(sink->response) << request;
    EXPECT_EQ(sink->response->status, 400);
    EXPECT_EQ(at(sink->body(), "error.param"), param) << request << sink->body();
  }
}

}  // namespace
}  // namespace hf::api::test
