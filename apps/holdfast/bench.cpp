#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <memory>

#include "client/load.hpp"
#include "holdfast/commands.hpp"

namespace hf::cli {
namespace {

struct Given {
  ApiOptions api;
  client::LoadOptions load;
  bool chat = false;
  bool json = false;
  bool traces = false;
  std::string json_file;
};

int run(const Context& context, Given& given) {
  auto endpoint = endpoint_of(context, given.api);
  if (!endpoint) return report(endpoint.error());
  given.load.endpoint = *endpoint;
  given.load.path = given.chat ? client::LoadPath::chat : client::LoadPath::completions;
  if (given.load.model.empty()) {
    const auto settings = settings::load(context.data_folder);
    if (settings) given.load.model = settings->models.default_model;
  }
  const auto result = client::run_load(given.load);
  if (!result) return report(result.error());
  const auto json = client::to_json(
      *result, given.traces ? client::TraceDetail::requests : client::TraceDetail::none);
  if (!given.json_file.empty()) std::ofstream(given.json_file) << json << "\n";
  std::fputs((given.json ? json + "\n" : client::to_table(*result)).c_str(), stdout);
  return result->failed == 0 ? 0 : 1;
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("bench", "Load an OpenAI-compatible server and measure it");
  auto given = std::make_shared<Given>();
  auto& load = given->load;
  add_api_options(*command, given->api);
  command->add_option("--model", load.model, "Model name");
  command->add_option("-c,--clients", load.clients, "Clients at once")->check(CLI::Range(1, 10'000));
  command->add_option("-n,--requests", load.requests, "Requests in all")->check(CLI::PositiveNumber);
  command->add_option("--rate", load.rate, "Open loop: arrivals per second; 0: closed loop");
  command->add_option("--prompt-tokens", load.prompt_words, "Own words of each prompt");
  command->add_option("--shared-tokens", load.shared_words, "Words of the common beginning");
  command->add_option("--shared-share", load.shared_share, "Share of requests with it")->check(CLI::Range(0.0, 1.0));
  command->add_option("--output-tokens", load.output_tokens, "max_tokens")->check(CLI::PositiveNumber);
  command->add_option("--seed", load.seed, "Makes prompts and arrivals");
  command->add_option("--ramp-ms", load.ramp_ms, "Clients start spread over this time");
  command->add_option("--extra", load.extra_json, "Further JSON fields for each request");
  command->add_flag("!--honour-eos", load.ignore_eos, "End at the end token");
  command->add_flag("--chat", given->chat, "Use /v1/chat/completions");
  command->add_flag("--json", given->json, "Print JSON");
  command->add_flag("--traces", given->traces, "JSON with each request's times");
  command->add_option("--json-file", given->json_file, "Also write JSON there");
  command->callback([given, &context] { context.chosen = [given, &context] { return run(context, *given); }; });
}

}  // namespace hf::cli
