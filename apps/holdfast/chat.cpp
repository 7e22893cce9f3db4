#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>

#include "holdfast/chat_session.hpp"
#include "holdfast/commands.hpp"
#include "holdfast/line_reader.hpp"

namespace hf::cli {
namespace {

std::atomic<bool> interrupted{false};
void on_interrupt(int) { interrupted = true; }

constexpr const char* kHelp =
    "/model [NAME]   show or change the model      /system [TEXT]  set or clear the system prompt\n"
    "/save FILE      write the conversation        /clear          forget the conversation\n"
    "/help           this                          /quit           leave (also Ctrl-D)\n"
    "A line that ends in \\ goes on; \"\"\" opens and closes a longer text. Ctrl-C stops an answer.\n";

struct Given {
  ApiOptions api;
  ChatOptions chat;
  std::string prompt;
};

// False: leave.
bool command(ChatSession& session, const std::string& line) {
  const auto space = line.find(' ');
  const auto name = line.substr(0, space);
  const auto rest = space == std::string::npos ? std::string() : line.substr(space + 1);
  if (name == "/quit" || name == "/exit") return false;
  if (name == "/model") {
    if (!rest.empty()) session.set_model(rest);
    std::printf("Model: %s\n", session.model().c_str());
  } else if (name == "/system") {
    session.set_system(rest);
    std::puts(rest.empty() ? "System prompt cleared." : "System prompt set.");
  } else if (name == "/save") {
    const auto saved = session.save(rest);
    if (saved) std::printf("Saved to %s.\n", rest.c_str());
    if (!saved) report(saved.error());
  } else if (name == "/clear") {
    session.clear();
    std::puts("Conversation forgotten.");
  } else {
    if (name != "/help") std::printf("Unknown command %s.\n", name.c_str());
    std::fputs(kHelp, stdout);
  }
  return true;
}

int answer(ChatSession& session, const std::string& text) {
  interrupted = false;
  const auto asked = session.ask(text, interrupted);
  if (!asked) return report(asked.error());
  return 0;
}

int run(const Context& context, const Given& given) {
  auto endpoint = endpoint_of(context, given.api);
  if (!endpoint) return report(endpoint.error());
  auto options = given.chat;
  if (options.model.empty() && given.api.address.empty()) {
    const auto settings = settings::load(context.data_folder);
    if (settings) options.model = settings->models.default_model;
  }
  auto session = ChatSession::open(std::move(*endpoint), std::move(options));
  if (!session) return report(session.error());
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  if (!given.prompt.empty()) return answer(*session, given.prompt);
  LineReader reader(context.data_folder + "/chat_history");
  if (reader.interactive()) std::printf("Talking to %s. /help lists the commands.\n", session->model().c_str());
  for (;;) {
    const auto line = reader.read();
    if (!line) break;
    if (line->empty()) continue;
    if (line->starts_with('/')) {
      if (!command(*session, *line)) break;
    } else {
      (void)answer(*session, *line);
    }
  }
  return 0;
}

}  // namespace

void add_chat(CLI::App& app, Context& context) {
  auto* sub = app.add_subcommand("chat", "Talk to a model in the terminal");
  auto given = std::make_shared<Given>();
  add_api_options(*sub, given->api);
  sub->add_option("--model", given->chat.model, "Model name; else the default");
  sub->add_option("--system", given->chat.system, "System prompt");
  sub->add_option("--temperature", given->chat.temperature, "0: always the likeliest token");
  sub->add_option("--max-tokens", given->chat.max_tokens, "Longest answer");
  sub->add_flag("--stats", given->chat.stats, "Show tokens/s and time to first token");
  sub->add_option("prompt", given->prompt, "Ask only this and leave");
  sub->callback([given, &context] { context.chosen = [given, &context] { return run(context, *given); }; });
}

}  // namespace hf::cli
