#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "holdfast/commands.hpp"
#include "holdfast/installed_files.hpp"

namespace hf::cli {

void add_serve(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("serve", "Run the server in the foreground");
  auto rest = std::make_shared<std::vector<std::string>>();
  command->add_option("arguments", *rest, "Further arguments of holdfastd");
  command->callback([rest, &context] {
    context.chosen = [rest, &context] {
      const auto program = program_folder() + "/holdfastd";
      std::vector<std::string> arguments = {program, "--data-dir", context.data_folder};
      arguments.insert(arguments.end(), rest->begin(), rest->end());
      std::vector<char*> raw;
      for (auto& argument : arguments) raw.push_back(argument.data());
      raw.push_back(nullptr);
      ::execv(program.c_str(), raw.data());
      std::fprintf(stderr, "holdfast: %s cannot be run: %s\n", program.c_str(), std::strerror(errno));
      return 1;
    };
  });
}

}  // namespace hf::cli
