// holdfast-engine: one loaded model. Started by holdfastd, which talks to it over --socket-fd.
#include <CLI/CLI.hpp>

#include "base/log.hpp"
#include "chat/chat_template.hpp"
#include "runtime/engine_service.hpp"

namespace {

std::string own_path() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

struct Arguments {
  int socket = -1;
  std::string log_level = "info";
  std::vector<std::string> adapters;
  hf::runtime::EngineOptions engine;
  int warm_up_ms = 1500;
  int ageing_ms = 10'000;
};

void declare(CLI::App& app, Arguments& given) {
  auto& model = given.engine.model;
  auto& scheduler = given.engine.scheduler;
  // What the settings file adds stands behind what the server passes.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--socket-fd", given.socket, "Descriptor of the server's socket")->required();
  app.add_option("--model", model.path, "GGUF file")->required();
  app.add_option("--name", given.engine.name, "Name in log lines");
  app.add_option("--cells", model.cells, "KV cells of the pool; 0: from memory and model");
  app.add_option("--cache-type", model.cache_type, "KV type: f16 or q8_0");
  app.add_option("--gpu-layers", model.gpu_layers, "Layers on the GPU; -1: all that fit");
  app.add_option("--blas", model.blas, "BLAS back end: on, off, auto (where it pays)")
      ->check(CLI::IsMember({"on", "off", "auto"}));
  app.add_option("--threads", model.threads, "Compute threads; 0: measured");
  app.add_option("--memory-bytes", model.memory_bytes_max, "Refuse to load above; 0: free memory");
  app.add_option("--step-tokens", scheduler.step_tokens, "Token budget of a step; 0: measured");
  app.add_option("--step-ms", scheduler.step_ms_target,
                 "Longest step while others decode; 0: measured");
  app.add_option("--prefill-tokens", scheduler.prefill_tokens,
                 "Prompt rows of a step nobody waits for");
  app.add_option("--draft-tokens", scheduler.draft_tokens_max, "Most tokens guessed at once");
  app.add_option("--draft-sequences", scheduler.draft_sequences_max,
                 "Guess up to so many sequences");
  app.add_option("--choices-max", scheduler.choices_max, "Choices of one request");
  app.add_option("--ageing-ms", given.ageing_ms, "Waiting that raises a request by one class");
  app.add_option("--running-max", scheduler.running_max, "Sequences computed at once");
  app.add_option("--requests-max", scheduler.requests_max, "Running and waiting; more get 429");
  app.add_option("--request-tokens", scheduler.request_tokens_max,
                 "Prompt and output; 0: the model's");
  app.add_option("--cached-sequences", scheduler.cached_sequences_max, "Prefixes kept for reuse");
  app.add_option("--cached-bytes", scheduler.cached_bytes_max, "Host memory for those prefixes");
  app.add_option("--swap-bytes", scheduler.swap_bytes_max, "Host memory for swapped-out requests");
  app.add_option("--adapter", given.adapters, "NAME=PATH of a LoRA adapter; repeatable")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--warm-up-ms", given.warm_up_ms, "Time to measure threads and costs; 0: none");
  app.add_option("--log-level", given.log_level, "debug, info, warn or error");
  app.add_flag("!--no-share", scheduler.share_prefixes, "Do not share prefixes");
  app.add_flag("!--no-speculate", scheduler.speculate, "No prompt-lookup speculation");
}

int run(Arguments& given) {
  const auto level = hf::log::parse_level(given.log_level);
  if (!level) {
    std::fprintf(stderr, "holdfast-engine: %s\n", level.error().message.c_str());
    return 2;
  }
  (void)hf::log::start({.level = *level, .file = {}, .program = "engine"});
  for (const auto& adapter : given.adapters) {
    const auto equals = adapter.find('=');
    if (equals == std::string::npos) {
      std::fprintf(stderr, "holdfast-engine: --adapter wants NAME=PATH, not '%s'\n",
                   adapter.c_str());
      return 2;
    }
    given.engine.adapters.emplace_back(adapter.substr(0, equals), adapter.substr(equals + 1));
  }
  given.engine.warm_up = std::chrono::milliseconds(given.warm_up_ms);
  given.engine.scheduler.ageing = std::chrono::milliseconds(given.ageing_ms);
  given.engine.render_program = own_path();
  given.engine.render_arguments = {"--render-child"};
  hf::wire::Channel channel(given.socket);
  const auto served = hf::runtime::serve_engine(channel, std::move(given.engine));
  if (served) return 0;
  hf::log::failure("Engine stopped", served.error());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--render-child") {
    return hf::chat::render_child_main(hf::chat::kRenderChildDescriptor);
  }
  // A failed assertion in ggml would start a debugger for its backtrace.
  ::setenv("GGML_NO_BACKTRACE", "1", 1);
  // Its own threads would spin against ours; blas_entry.cpp runs its products on our team.
  ::setenv("OPENBLAS_NUM_THREADS", "1", 1);
  CLI::App app("Serves one model to holdfastd");
  Arguments given;
  declare(app, given);
  CLI11_PARSE(app, argc, argv);
  return run(given);
}
