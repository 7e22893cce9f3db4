// Asks an engine for one-token answers over its own socket: what a request costs without server,
// TLS and HTTP. Usage: engine_direct ENGINE_PROGRAM ENGINE_ARGUMENT...
// Input: lines "SEED REQUESTS"; prompts are those of `holdfast bench --prompt-tokens 1`. Output: a
// line of JSON when the engine is ready and one for each input line.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "client/load.hpp"
#include "wire/channel.hpp"

namespace {

using SteadyTime = std::chrono::steady_clock;

double ms_since(SteadyTime::time_point start) {
  return std::chrono::duration<double, std::milli>(SteadyTime::now() - start).count();
}

struct Times {
  std::vector<double> first_ms = {};
  std::vector<double> done_ms = {};
};

pid_t start_engine(char** arguments, int socket) {
  const auto parent = ::getpid();
  const auto pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  auto number = std::to_string(socket);
  std::string option = "--socket-fd";
  std::vector<char*> words = {arguments[0], option.data(), number.data()};
  for (char** word = arguments + 1; *word != nullptr; ++word) words.push_back(*word);
  words.push_back(nullptr);
  ::execv(words[0], words.data());
  ::_exit(127);
}

hf::wire::Generate request(std::uint64_t id, const std::string& prompt) {
  hf::wire::Generate generate;
  generate.id = id;
  generate.prompt.text = prompt;
  generate.sampling.temperature = 0;
  generate.max_tokens = 1;
  generate.ignore_eos = 1;
  generate.tenant = "bench";
  generate.cache_scope = "bench";
  return generate;
}

/// Waits for the engine's Ready. False: it said why not, or died.
bool wait_ready(hf::wire::Channel& channel) {
  for (;;) {
    const auto message = channel.receive_to_server();
    if (!message) return false;
    if (std::holds_alternative<hf::wire::Ready>(*message)) return true;
    if (const auto* failed = std::get_if<hf::wire::LoadFailed>(&*message)) {
      std::fprintf(stderr, "engine_direct: %s\n", failed->message.c_str());
      return false;
    }
  }
}

bool ask(hf::wire::Channel& channel, std::uint64_t id, const std::string& prompt, Times& times) {
  const auto start = SteadyTime::now();
  if (!channel.send(hf::wire::ToEngine(request(id, prompt)))) return false;
  bool first = true;
  for (;;) {
    const auto message = channel.receive_to_server();
    if (!message) return false;
    if (const auto* failed = std::get_if<hf::wire::Failed>(&*message)) {
      std::fprintf(stderr, "engine_direct: %s\n", failed->message.c_str());
      return false;
    }
    if (std::holds_alternative<hf::wire::Delta>(*message) && first) {
      times.first_ms.push_back(ms_since(start));
      first = false;
    }
    if (const auto* done = std::get_if<hf::wire::Done>(&*message); done != nullptr && done->id == id) {
      times.done_ms.push_back(ms_since(start));
      return true;
    }
  }
}

double median(std::vector<double> values) { return hf::client::percentiles(std::move(values)).p50; }

int serve_lines(hf::wire::Channel& channel) {
  std::uint64_t seed = 0;
  std::uint32_t requests = 0;
  std::uint64_t id = 0;
  while (std::cin >> seed >> requests) {
    Times times;
    const hf::client::LoadOptions load{.prompt_words = 1, .seed = seed};
    for (std::uint32_t at = 0; at < requests; ++at) {
      if (!ask(channel, ++id, hf::client::load_prompt(load, at), times)) return 1;
    }
    std::printf("{\"first_ms_p50\":%.4f,\"done_ms_p50\":%.4f}\n", median(times.first_ms), median(times.done_ms));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("engine_direct: give the engine program and its arguments\n", stderr);
    return 2;
  }
  const auto sockets = hf::wire::make_socket_pair();
  if (!sockets) return 1;
  const auto pid = start_engine(argv + 1, sockets->child);
  ::close(sockets->child);
  int status = 1;
  {
    hf::wire::Channel channel(sockets->parent);
    if (wait_ready(channel)) {
      std::puts("{}");
      std::fflush(stdout);
      status = serve_lines(channel);
    }
    (void)channel.send(hf::wire::ToEngine(hf::wire::Shutdown{}));
  }
  ::kill(pid, SIGTERM);
  ::waitpid(pid, nullptr, 0);
  return status;
}
