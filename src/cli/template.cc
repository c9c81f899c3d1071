#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "core/files.h"
#include "text/chat_template.h"

namespace ingot {

void add_template(CLI::App& app) {
  struct Options {
    std::string file, variables;
    int64_t now = -1;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("template", "Render a chat template (a .jinja file) on a conversation (JSON with messages, tools, ...)");
  command->add_option("TEMPLATE", options->file, "the template")->required();
  command->add_option("VARIABLES", options->variables, "a JSON object, or a list of them: one JSON line is printed for each");
  command->add_option("--now", options->now, "seconds since 1970 that strftime_now shows, instead of the clock");
  command->callback([options] {
    ChatTemplate chat(MappedFile(options->file).text(), options->file);
    if (options->variables.empty()) return;
    std::time_t now = options->now >= 0 ? static_cast<std::time_t>(options->now) : std::time(nullptr);
    nlohmann::ordered_json variables;
    try {
      variables = nlohmann::ordered_json::parse(MappedFile(options->variables).text());
    } catch (const nlohmann::json::exception& error) {
      bad_input(std::string("not JSON: ") + error.what(), options->variables, "give a JSON object with messages");
    }
    if (!variables.is_array()) {
      std::string text = chat.render(variables, now);
      std::fwrite(text.data(), 1, text.size(), stdout);
      return;
    }
    for (const auto& one : variables) {
      nlohmann::ordered_json line;
      try {
        line["text"] = chat.render(one, now);
      } catch (const Error& error) {
        line["error"] = error.problem;
      }
      std::puts(line.dump().c_str());
    }
  });
}

}  // namespace ingot
