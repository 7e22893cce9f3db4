#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chat/chat_template.hpp"

namespace hf::chat {
namespace {

using std::chrono::milliseconds;

const std::string kHello = R"([{"role": "user", "content": "hello"}])";
const std::string kPlain = "{% for m in messages %}{{ m.content }};{% endfor %}";
// Renders well in probes, since only the word "attack" starts it.
const std::string kGuard = "{% if messages[-1].content == 'attack' %}";
const std::string kAttack = R"([{"role": "user", "content": "attack"}])";

std::size_t descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

bool has_children() {
  return waitpid(-1, nullptr, WNOHANG) >= 0;
}

Result<std::unique_ptr<FencedRenderer>> open(const std::string& source, FenceOptions options = {}) {
  return FencedRenderer::open("/proc/self/exe", {"--render-child"}, source, "<s>", "</s>", options);
}

std::unique_ptr<FencedRenderer> opened(const std::string& source, FenceOptions options = {}) {
  auto renderer = open(source, options);
  EXPECT_TRUE(renderer) << renderer.error().message << renderer.error().detail;
  return renderer ? std::move(*renderer) : nullptr;
}

bool overran(const Error& error) {
  return (error.code == Errc::deadline_exceeded || error.code == Errc::failed_precondition) &&
         error.message.starts_with("The model's chat template");
}

TEST(FencedRenderer, renders_as_the_renderer_inside) {
  const auto renderer = opened(kPlain + "{{ x }}");
  const auto text = renderer->render({.messages_json = kHello, .template_args_json = "{\"x\": 7}"});
  EXPECT_EQ(text.value(), "hello;7");
  const auto refused = renderer->render({.messages_json = "[1]"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  EXPECT_EQ(refused.error().param, "messages[0]");
}

TEST(FencedRenderer, passes_large_prompts) {
  const auto renderer = opened(kPlain, {.timeout = milliseconds(20'000)});
  const std::string content(20U << 20U, 'x');
  const auto text =
      renderer->render({.messages_json = R"([{"role": "user", "content": ")" + content + "\"}]"});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(text->size(), content.size() + 1);
}

TEST(FencedRenderer, tells_what_is_wrong_with_a_template) {
  const auto broken = open("{% if %}");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Errc::invalid_argument);
  const auto large = open(std::string(10U << 20U, 'x'));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Errc::invalid_argument);
  const auto missing = FencedRenderer::open("/no/such/program", {}, kPlain, "", "");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::unavailable);
  const auto other = FencedRenderer::open("/bin/true", {}, kPlain, "", "");
  ASSERT_FALSE(other);
  EXPECT_FALSE(has_children());
}

TEST(FencedRenderer, ends_hostile_templates_with_clear_errors) {
  const auto before = descriptors();
  const std::string loops =
      "{% for a in range(90000) %}{% for b in range(90000) %}{% for c in "
      "range(90000) %}{% endfor %}{% endfor %}{% endfor %}";
  for (const std::string& attack :
       {loops, std::string("{% for i in range(1000000000) %}{% endfor %}"),
        std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        std::string("{% macro a(x) %}{{ b(x + [x]) }}{% endmacro %}{% macro b(x) %}{{ a(x + [x]) }}"
                    "{% endmacro %}{{ a([1]) }}"),
        std::string("{% set n = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}"
                    "{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}")}) {
    const auto renderer =
        opened(kGuard + attack + "{% endif %}" + kPlain,
               {.timeout = milliseconds(1500), .memory_bytes_max = std::uint64_t{128} << 20U});
    ASSERT_TRUE(renderer);
    const auto start = std::chrono::steady_clock::now();
    const auto text = renderer->render({.messages_json = kAttack});
    EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(4000));
    ASSERT_FALSE(text) << attack;
    EXPECT_TRUE(overran(text.error())) << text.error().message;
    const auto again = renderer->render({.messages_json = kHello});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*again, "hello;");
  }
  EXPECT_EQ(descriptors(), before);
  EXPECT_FALSE(has_children());
}

TEST(FencedRenderer, fences_parsing_too) {
  const auto endless = open(
      "{% for i in range(90000) %}{% for j in range(90000) %}{% for k in "
      "range(90000) %}{% endfor %}{% endfor %}{% endfor %}",
      {.start_timeout = milliseconds(800)});
  ASSERT_FALSE(endless);
  EXPECT_TRUE(overran(endless.error())) << endless.error().message;
  const auto deep = open("{{ " + std::string(100'000, '(') + " }}");
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, Errc::invalid_argument);
  EXPECT_FALSE(has_children());
}

TEST(FencedRenderer, switches_a_failing_template_off) {
  const auto renderer =
      opened(kGuard + "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}{% endif %}" + kPlain,
             {.timeout = milliseconds(1500), .failures_max = 2});
  EXPECT_FALSE(renderer->render({.messages_json = kAttack}));
  EXPECT_TRUE(renderer->render({.messages_json = kHello})) << "a good render starts the count anew";
  EXPECT_FALSE(renderer->render({.messages_json = kAttack}));
  EXPECT_FALSE(renderer->render({.messages_json = kAttack}));
  const auto off = renderer->render({.messages_json = kHello});
  ASSERT_FALSE(off);
  EXPECT_EQ(off.error().code, Errc::failed_precondition);
  EXPECT_TRUE(off.error().message.contains("switched off")) << off.error().message;
  EXPECT_EQ(renderer->child(), 0);
}

TEST(FencedRenderer, starts_again_after_its_child_was_killed) {
  const auto renderer = opened(kPlain);
  const auto child = renderer->child();
  ASSERT_GT(child, 0);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  // Until the kill has taken effect.
  siginfo_t ended = {};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(renderer->render({.messages_json = kHello}).value(), "hello;");
  EXPECT_NE(renderer->child(), child);
}

TEST(FencedRenderer, leaves_the_child_no_descriptors_and_no_environment) {
  const auto renderer = opened(kPlain);
  const auto proc = "/proc/" + std::to_string(renderer->child());
  std::ifstream environment(proc + "/environ");
  EXPECT_EQ(environment.peek(), std::ifstream::traits_type::eof());
  std::ifstream status(proc + "/status");
  std::string text((std::istreambuf_iterator<char>(status)), {});
  EXPECT_TRUE(text.contains("NoNewPrivs:\t1") || !text.contains("Seccomp:\t2")) << text;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_TRUE(text.contains("Seccomp:\t2")) << text;
  std::ifstream limits(proc + "/limits");
  std::string bounds((std::istreambuf_iterator<char>(limits)), {});
  EXPECT_TRUE(bounds.contains("Max open files            0")) << bounds;
  EXPECT_TRUE(bounds.contains("Max core file size        0")) << bounds;
#endif
}

TEST(FencedRenderer, serves_many_threads) {
  const auto renderer = opened(kPlain, {.timeout = milliseconds(20'000)});
  std::vector<std::jthread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto word = std::to_string(t * 1000 + i);
        const auto text = renderer->render(
            {.messages_json = R"([{"role": "user", "content": ")" + word + "\"}]"});
        if (text && *text == word + ";") ++good;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 200);
}

TEST(FencedRenderer, takes_little_longer_than_the_render) {
  const auto renderer = opened(kPlain);
  std::vector<double> micros;
  for (int i = 0; i < 300; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(renderer->render({.messages_json = kHello}));
    micros.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::ranges::sort(micros);
  RecordProperty("median_us", std::to_string(micros[150]));
  std::printf("round trip: median %.0f us, least %.0f us\n", micros[150], micros[0]);
  EXPECT_LT(micros[0], 5000) << "far above any machine's noise";
}

}  // namespace
}  // namespace hf::chat

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--render-child") {
    return hf::chat::render_child_main(hf::chat::kRenderChildDescriptor);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
