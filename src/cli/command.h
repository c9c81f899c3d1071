// One file a command: each defines a function listed here and in commands.cc.
#pragma once

namespace CLI {
class App;
}

namespace ingot {

// Each adds a subcommand to the application; its callback does the work and throws Error on bad input.
using AddCommand = void (*)(CLI::App& app);

struct CommandList {
  const AddCommand* begin;
  const AddCommand* end;
};
CommandList commands();

}  // namespace ingot
