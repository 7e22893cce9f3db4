// Each parameter of a chat is honoured or refused by name.
#include <gtest/gtest.h>

#include "api/generation_scene.hpp"

namespace hf::api::test {
namespace {

constexpr std::string_view kTools =
    R"("tools":[{"type":"function","function":{"name":"add","description":"adds",)"
    R"("parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}}])";

std::string with(std::string_view member) {
  return R"({"model":"m","messages":[{"role":"user","content":"hi"}],)" + std::string(member) + "}";
}

std::string with_messages(std::string_view messages) {
  return R"({"model":"m","messages":)" + std::string(messages) + "}";
}

wire::Generate asked(std::string_view member) {
  Scene scene;
  const auto sink = scene.send(chat_completions, with(member));
  EXPECT_FALSE(sink->response) << member << sink->body();
  return sink->response ? wire::Generate() : scene.request();
}

struct Refusal {
  std::string body;
  std::string param;
  std::string code = {};
};

void expect_refused(const Refusal& wanted) {
  Scene scene;
  const auto sink = scene.send(chat_completions, wanted.body);
  ASSERT_TRUE(sink->response) << wanted.body;
  EXPECT_EQ(sink->response->status, 400) << sink->body();
  EXPECT_EQ(at(sink->body(), "error.param"), wanted.param) << sink->body();
  EXPECT_EQ(at(sink->body(), "error.type"), "invalid_request_error");
  if (!wanted.code.empty()) {
    EXPECT_EQ(at(sink->body(), "error.code"), wanted.code) << sink->body();
  }
  EXPECT_TRUE(scene.models.asked.empty());
}

TEST(ChatRequest, passes_sampling_on) {
  const auto request = asked(
      R"("temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.05,"typical_p":0.8,"seed":-3,)"
      R"("repetition_penalty":1.1,"presence_penalty":-1,"frequency_penalty":2,"ignore_eos":true,)"
      R"("logit_bias":{"7":-100,"12":1.5},"stop":["a","b"],"max_completion_tokens":9)");
  const auto& sampling = request.sampling;
  EXPECT_FLOAT_EQ(sampling.temperature, 0.5F);
  EXPECT_FLOAT_EQ(sampling.top_p, 0.9F);
  EXPECT_EQ(sampling.top_k, 40);
  EXPECT_FLOAT_EQ(sampling.min_p, 0.05F);
  EXPECT_FLOAT_EQ(sampling.typical_p, 0.8F);
  EXPECT_FLOAT_EQ(sampling.repetition_penalty, 1.1F);
  EXPECT_FLOAT_EQ(sampling.presence_penalty, -1);
  EXPECT_FLOAT_EQ(sampling.frequency_penalty, 2);
  EXPECT_EQ(sampling.seed, static_cast<std::uint64_t>(-3));
  ASSERT_EQ(sampling.logit_bias.size(), 2U);
  EXPECT_EQ(sampling.logit_bias[1].token, 12);
  EXPECT_FLOAT_EQ(sampling.logit_bias[1].bias, 1.5F);
  EXPECT_EQ(sampling.logprobs, -1);
  EXPECT_EQ(request.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.max_tokens, 9U);
  EXPECT_EQ(request.ignore_eos, 1);
}

TEST(ChatRequest, has_openai_defaults) {
  const auto request = asked(R"("user":"u")");
  EXPECT_FLOAT_EQ(request.sampling.temperature, 1);
  EXPECT_FLOAT_EQ(request.sampling.top_p, 1);
  EXPECT_EQ(request.max_tokens, 0U);
  EXPECT_EQ(request.choices, 1U);
  EXPECT_EQ(request.grammar.kind, wire::GrammarKind::none);
  EXPECT_EQ(request.prompt.kind, wire::PromptKind::chat);
  EXPECT_EQ(request.prompt.messages_json, R"([{"role":"user","content":"hi"}])");
  EXPECT_EQ(request.prompt.add_generation_prompt, 1);
  EXPECT_EQ(request.deadline_ms, 600'000U);
}

TEST(ChatRequest, draws_a_new_seed_each_time) {
  EXPECT_NE(asked(R"("user":"u")").sampling.seed, asked(R"("user":"u")").sampling.seed);
}

TEST(ChatRequest, accepts_what_changes_nothing) {
  asked(
      R"("user":"u","metadata":{"a":"b"},"store":false,"service_tier":"auto",)"
      R"("safety_identifier":"s","prompt_cache_key":"k","modalities":["text"],)"
      R"("verbosity":"medium","top_logprobs":null,"stop":null,"tools":[],"logprobs":false,)"
      R"("response_format":{"type":"text"})");
}

TEST(ChatRequest, keeps_tenants_and_salts_apart) {
  const auto plain = asked(R"("user":"u")");
  EXPECT_EQ(plain.tenant, "t");
  EXPECT_EQ(plain.cache_scope, "t");
  const auto salted = asked(R"("cache_salt":"pepper")");
  EXPECT_EQ(salted.tenant, "t");
  EXPECT_EQ(salted.cache_scope, "t\npepper");
}

TEST(ChatRequest, bounds_priority_by_the_key) {
  EXPECT_EQ(asked(R"("user":"u")").priority, wire::Priority::normal);
  EXPECT_EQ(asked(R"("priority":"batch")").priority, wire::Priority::batch);
  Scene scene;
  const auto sink = scene.send(chat_completions, with(R"("priority":"interactive")"));
  EXPECT_EQ(sink->response->status, 403);
  EXPECT_EQ(at(sink->body(), "error.param"), "priority");
  scene.caller.priority_max = wire::Priority::interactive;
  scene.send(chat_completions, with(R"("priority":"interactive")"));
  EXPECT_EQ(scene.request().priority, wire::Priority::interactive);
  scene.caller.priority_max = wire::Priority::batch;
  scene.send(chat_completions, with(R"("user":"u")"));
  EXPECT_EQ(scene.request(1).priority, wire::Priority::batch);
}

TEST(ChatRequest, refuses_values_out_of_range_by_name) {
  for (const auto& [member, param] : std::vector<std::pair<std::string, std::string>>{
           {R"("temperature":2.1)", "temperature"},
           {R"("temperature":"hot")", "temperature"},
           {R"("top_p":-0.1)", "top_p"},
           {R"("n":0)", "n"},
           {R"("n":65)", "n"},
           {R"("n":1.5)", "n"},
           {R"("max_tokens":0)", "max_tokens"},
           {R"("max_tokens":1e30)", "max_tokens"},
           {R"("max_tokens":3,"max_completion_tokens":4)", "max_tokens"},
           {R"("presence_penalty":3)", "presence_penalty"},
           {R"("frequency_penalty":-3)", "frequency_penalty"},
           {R"("logit_bias":{"x":1})", "logit_bias"},
           {R"("logit_bias":{"1":101})", "logit_bias.1"},
           {R"("logit_bias":[])", "logit_bias"},
           {R"("top_logprobs":3)", "top_logprobs"},
           {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
           {R"("seed":1.5)", "seed"},
           {R"("stop":"")", "stop"},
           {R"("stop":[1])", "stop[0]"},
           {R"("stop":["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"])",
            "stop"},
           {R"("stream":1)", "stream"},
           {R"("stream_options":{"include_usage":true})", "stream_options"},
           {R"("stream":true,"stream_options":{"include_all":true})", "stream_options.include_all"},
           {R"("priority":"urgent")", "priority"},
           {R"("reasoning_effort":"huge")", "reasoning_effort"},
           {R"("service_tier":"flex")", "service_tier"}}) {
    expect_refused({with(member), param});
  }
}

TEST(ChatRequest, refuses_what_it_cannot_serve_by_name) {
  for (const auto& [member, param] : std::vector<std::pair<std::string, std::string>>{
           {R"("functions":[{"name":"f"}])", "functions"},
           {R"("function_call":"auto")", "function_call"},
           {R"("store":true)", "store"},
           {R"("audio":{"voice":"x"})", "audio"},
           {R"("modalities":["text","audio"])", "modalities"},
           {R"("prediction":{"type":"content"})", "prediction"},
           {R"("web_search_options":{})", "web_search_options"},
           {R"("verbosity":"high")", "verbosity"},
           {R"("use_beam_search":true)", "use_beam_search"},
           {R"("min_tokens":3)", "min_tokens"},
           {R"("continue_final_message":true)", "continue_final_message"},
           {R"("no_such_thing":1)", "no_such_thing"}}) {
    expect_refused({with(member), param});
  }
  Scene scene;
  const auto sink = scene.send(chat_completions, with(R"("functions":[])"));
  EXPECT_NE(at(sink->body(), "error.message").find("'tools'"), std::string::npos);
}

TEST(ChatRequest, checks_messages) {
  for (const auto& [messages, param] : std::vector<std::pair<std::string, std::string>>{
           {"[]", "messages"},
           {"3", "messages"},
           {R"([{"content":"x"}])", "messages[0].role"},
           {R"([{"role":"robot","content":"x"}])", "messages[0].role"},
           {R"([{"role":"user"}])", "messages[0].content"},
           {R"([{"role":"user","content":7}])", "messages[0].content"},
           {R"([{"role":"user","content":"x","mood":"good"}])", "messages[0].mood"},
           {R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])",
            "messages[0].content[0]"},
           {R"([{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text"},
           {R"([{"role":"user","content":[{"type":"smell","text":"x"}]}])",
            "messages[0].content[0]"},
           {R"([{"role":"assistant","tool_calls":[{"type":"function"}]}])",
            "messages[0].tool_calls[0].function"},
           {R"([{"role":"assistant","content":"x","function_call":{"name":"f"}}])",
            "messages[0].function_call"}}) {
    expect_refused({with_messages(messages), param});
  }
  expect_refused({R"({"model":"m"})", "messages", "missing_required_parameter"});
}

TEST(ChatRequest, takes_every_role_and_text_parts) {
  Scene scene;
  const std::string messages =
      R"([{"role":"developer","content":"d"},)"
      R"({"role":"system","content":[{"type":"text","text":"s"}]},)"
      R"({"role":"user","name":"n","content":"u"},{"role":"assistant","content":null,"tool_calls":)"
      R"([{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},)"
      R"({"role":"tool","tool_call_id":"c","content":"4"},)"
      R"({"role":"assistant","content":"a","reasoning_content":"r","refusal":null,"audio":null}])";
  const auto sink = scene.send(chat_completions, with_messages(messages));
  ASSERT_FALSE(sink->response) << sink->body();
  EXPECT_EQ(scene.request().prompt.messages_json, messages);
}

TEST(ChatRequest, names_models_and_their_uses) {
  Scene scene;
  auto sink =
      scene.send(chat_completions, R"({"model":"x","messages":[{"role":"user","content":"a"}]})");
  EXPECT_EQ(sink->response->status, 404);
  EXPECT_EQ(at(sink->body(), "error.code"), "model_not_found");
  EXPECT_EQ(at(sink->body(), "error.param"), "model");
  sink = scene.send(chat_completions, R"({"messages":[{"role":"user","content":"a"}]})");
  EXPECT_EQ(sink->response->status, 400);
  EXPECT_NE(at(sink->body(), "error.message").find("m"), std::string::npos);
  scene.service->options.default_model = "m";
  sink = scene.send(chat_completions, R"({"messages":[{"role":"user","content":"a"}]})");
  EXPECT_FALSE(sink->response);
  scene.template_is("");
  sink = scene.send(chat_completions, with(R"("user":"u")"));
  EXPECT_EQ(sink->response->status, 400);
  EXPECT_NE(sink->body().find("/v1/completions"), std::string::npos);
  scene.models.known[0].ready.generates = 0;
  sink = scene.send(chat_completions, with(R"("user":"u")"));
  EXPECT_EQ(at(sink->body(), "error.code"), "model_not_supported");
}

TEST(ChatRequest, checks_tools) {
  const std::string tools(kTools);
  for (const auto& [member, param] : std::vector<std::pair<std::string, std::string>>{
           {R"("tools":{})", "tools"},
           {R"("tools":[{"function":{"name":"f"}}])", "tools[0].type"},
           {R"("tools":[{"type":"custom","custom":{"name":"f"}}])", "tools[0].type"},
           {R"("tools":[{"type":"function"}])", "tools[0].function"},
           {R"("tools":[{"type":"function","function":{}}])", "tools[0].function.name"},
           {R"("tools":[{"type":"function","function":{"name":"a b"}}])", "tools[0].function.name"},
           {R"("tools":[{"type":"function","function":{"name":"f","strict":1}}])",
            "tools[0].function.strict"},
           {R"("tools":[{"type":"function","function":{"name":"f"}},)"
            R"({"type":"function","function":{"name":"f"}}])",
            "tools[1].function.name"},
           {R"("tool_choice":"required")", "tool_choice"},
           {R"("tool_choice":"maybe",)" + tools, "tool_choice"},
           {R"("tool_choice":{"type":"function","function":{"name":"sub"}},)" + tools,
            "tool_choice"},
           {R"("tool_choice":{"type":"allowed_tools"},)" + tools, "tool_choice.type"},
           {R"("response_format":{"type":"json_object"},)" + tools, "response_format"},
           {R"("guided_regex":"a",)" + tools, "guided_regex"}}) {
    expect_refused({with(member), param});
  }
}

TEST(ChatRequest, leaves_tools_out_where_none_may_be_called) {
  const auto request = asked(R"("tool_choice":"none",)" + std::string(kTools));
  EXPECT_EQ(request.prompt.tools_json, "");
  EXPECT_EQ(request.grammar.kind, wire::GrammarKind::none);
}

TEST(ChatRequest, constrains_the_output) {
  using wire::GrammarKind;
  auto grammar = asked(R"("response_format":{"type":"json_object"})").grammar;
  EXPECT_EQ(grammar.kind, GrammarKind::json_object);
  grammar = asked(R"("response_format":{"type":"json_schema","json_schema":)"
                  R"({"name":"n","strict":true,"schema":{"type":"object"}}})")
                .grammar;
  EXPECT_EQ(grammar.kind, GrammarKind::json_schema);
  EXPECT_EQ(grammar.text, R"({"type":"object"})");
  EXPECT_EQ(asked(R"("guided_json":"{\"type\":\"null\"}")").grammar.text, R"({"type":"null"})");
  EXPECT_EQ(asked(R"("guided_regex":"a+")").grammar.kind, GrammarKind::regex);
  EXPECT_EQ(asked(R"("guided_grammar":"root ::= \"a\"")").grammar.kind, GrammarKind::gbnf);
  EXPECT_EQ(asked(R"("guided_choice":["a","b"])").grammar.choices.size(), 2U);
  EXPECT_EQ(asked(R"("structured_outputs":{"choice":["a"]})").grammar.kind, GrammarKind::choice);
  EXPECT_EQ(asked(R"("structured_outputs":{"json":{"type":"null"}})").grammar.kind,
            GrammarKind::json_schema);
}

TEST(ChatRequest, refuses_wrong_constraints_by_name) {
  for (const auto& [member, param] : std::vector<std::pair<std::string, std::string>>{
           {R"("response_format":"json")", "response_format"},
           {R"("response_format":{"type":"xml"})", "response_format.type"},
           {R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{"name":"n"}})",
            "response_format.json_schema.schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{"schema":3}})",
            "response_format.json_schema.schema"},
           {R"("response_format":{"type":"json_object"},"guided_regex":"a")", "guided_regex"},
           {R"("guided_choice":[])", "guided_choice"},
           {R"("structured_outputs":{"tag":1})", "structured_outputs.tag"}}) {
    expect_refused({with(member), param});
  }
}

TEST(ChatRequest, turns_effort_into_template_variables) {
  EXPECT_EQ(asked(R"("reasoning_effort":"none")").prompt.template_args_json,
            R"({"enable_thinking":false})");
  EXPECT_EQ(asked(R"("reasoning_effort":"high")").prompt.template_args_json,
            R"({"reasoning_effort":"high"})");
  EXPECT_EQ(asked(R"("chat_template_kwargs":{"enable_thinking":true,"x":[1, 2]})")
                .prompt.template_args_json,
            R"({"enable_thinking":true,"x":[1, 2]})");
  expect_refused({with(R"("chat_template_kwargs":{"messages":[]})"), "chat_template_kwargs"});
  expect_refused(
      {with(R"("reasoning_effort":"none","chat_template_kwargs":{"enable_thinking":true})"),
       "chat_template_kwargs"});
}

TEST(ChatRequest, refuses_what_is_no_json_object) {
  for (const auto* body : {"", "{", "[]", "3", "{\"a\":1,}", "\"\xFF\""}) {
    Scene scene;
    const auto sink = scene.send(chat_completions, body);
    ASSERT_TRUE(sink->response) << body;
    EXPECT_EQ(sink->response->status, 400) << body;
  }
}

TEST(ChatRequest, answers_faults_in_chinese) {
  Scene scene;
  const auto sink = scene.send(chat_completions, with(R"("n":0)"), Language::chinese);
  EXPECT_EQ(at(sink->body(), "error.message"), "'n' 为 0，必须在 1 到 64 之间。");
  EXPECT_EQ(at(sink->body(), "error.param"), "n");
}

}  // namespace
}  // namespace hf::api::test
