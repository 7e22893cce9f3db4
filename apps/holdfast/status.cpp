#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "client/endpoint.hpp"
#include "holdfast/commands.hpp"

namespace hf::cli {

void add_status(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("status", "Is the server up, and with what?");
  auto given = std::make_shared<ApiOptions>();
  add_api_options(*command, *given);
  command->callback([given, &context] {
    context.chosen = [given, &context] {
      const auto endpoint = endpoint_of(context, *given);
      if (!endpoint) return report(endpoint.error());
      client::Client client(*endpoint);
      const auto answer = client.get("/readyz?verbose");
      if (!answer) return report(answer.error());
      std::printf("%s\n%s\n", endpoint->address.c_str(), answer->body.c_str());
      return answer->status == 200 ? 0 : 1;
    };
  });
}

}  // namespace hf::cli
