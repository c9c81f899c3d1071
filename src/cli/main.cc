#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "cli/command.h"
#include "core/error.h"
#include "core/nearest.h"
#include "core/progress.h"
#include "core/threads.h"

namespace ingot {
namespace {

// What is no command is named before the parser complains that one is missing.
void check_command(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), word) != names.end()) return;
  const std::string near = nearest_name(word, names);
  throw Error(ErrorKind::usage, "there is no command \"" + word + "\"", "", near.empty() ? "ingot --help lists them" : "did you mean \"" + near + "\"? ingot --help lists them");
}

}  // namespace
}  // namespace ingot

int main(int argc, char** argv) {
  using namespace ingot;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond ulimit -f is then an error that is told
  install_interrupt_handler();
  set_progress_style(isatty(2) ? ProgressStyle::bar : ProgressStyle::lines);

  CLI::App app{"Ingot: your data in, your own AI out, in one file."};
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 internal, 2 usage, 3 bad input, 4 bad recipe, 5 gate not met, 6 file altered, 7 environment, 130 interrupted.");
  CommandList list = commands();
  for (auto add = list.begin; add != list.end; ++add) (*add)(app);
  app.set_version_flag("--version", INGOT_VERSION);
  try {
    default_threads();  // a wrong INGOT_THREADS is told now, not in the middle of the work
    if (argc > 1 && argv[1][0] != '-') check_command(app, argv[1]);
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::usage);
  } catch (const Error& error) {
    std::fprintf(stderr, "ingot: %s\n", error.what());
    return static_cast<int>(error.kind);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "ingot: out of memory; use a smaller model or batch\n");
    return static_cast<int>(ErrorKind::environment);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ingot: internal error: %s; please report this with the command you ran\n", error.what());
    return static_cast<int>(ErrorKind::internal);
  }
}
