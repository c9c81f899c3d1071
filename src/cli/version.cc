#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/command.h"

namespace ingot {

void add_version(CLI::App& app) {
  app.add_subcommand("version", "Print the version")->callback([] { std::puts("ingot " INGOT_VERSION); });
}

}  // namespace ingot
