#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "foundry/ai.h"
#include "foundry/people.h"

namespace ingot {
namespace {

std::pair<std::string, std::string> halves(const std::string& text, const char* form) {
  const size_t at = text.rfind('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) throw Error(ErrorKind::usage, "\"" + text + "\" is not " + form, "", "quote names with spaces");
  return {text.substr(0, at), text.substr(at + 1)};
}

void require(const std::vector<std::string>& known, const std::string& name, const char* what) {
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    bad_input(fmt::format("the AI knows no {} \"{}\"", what, name), "", fmt::format("it knows {}, such as \"{}\"", known.size(), known.empty() ? "" : known[0]));
  }
}

}  // namespace

void add_people(CLI::App& app) {
  struct Options {
    std::string file;
    std::vector<std::string> rename, leave, join;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("people", "Say who joined, was renamed or left, without training again");
  command->add_option("file", options->file, "NAME.ingot; the changes are kept in NAME.ingot.people.toml beside it")->required();
  command->add_option("--rename", options->rename, "OLD=NEW; may be repeated")->allow_extra_args(false);
  command->add_option("--leave", options->leave, "NAME; may be repeated")->allow_extra_args(false);
  command->add_option("--join", options->join, "NAME=COMPONENT; may be repeated")->allow_extra_args(false);
  command->add_flag("--json", options->json, "print one JSON object");
  command->callback([options] {
    const auto ai = Ai::open(options->file);
    if (ai->kind() != "triage") bad_input("this AI is of kind \"" + std::string(ai->kind()) + "\"; only one of kind \"triage\" knows people", options->file, "give a triage AI's file");
    const auto file = People::beside(options->file);
    People people = People::read(file);
    for (const std::string& one : options->rename) {
      const auto [from, to] = halves(one, "OLD=NEW");
      require(ai->triage().engineers(), from, "engineer");
      people.renamed[from] = to;
    }
    for (const std::string& one : options->leave) {
      if (people.joined.erase(one)) continue;
      require(ai->triage().engineers(), one, "engineer");
      people.left.insert(one);
    }
    for (const std::string& one : options->join) {
      const auto [name, component] = halves(one, "NAME=COMPONENT");
      require(ai->triage().components(), component, "component");
      if (people.left.erase(name)) continue;  // back again, as the AI knew them
      auto& places = people.joined[name];
      if (std::find(places.begin(), places.end(), component) == places.end()) places.push_back(component);
    }
    if (!options->rename.empty() || !options->leave.empty() || !options->join.empty()) people.write(file);
    if (options->json) {
      fmt::print("{}\n", nlohmann::json{{"file", file.string()}, {"rename", people.renamed}, {"leave", people.left}, {"join", people.joined}}.dump());
      return;
    }
    for (const auto& [from, to] : people.renamed) fmt::print("renamed   {} is now {}\n", from, to);
    for (const std::string& one : people.left) fmt::print("left      {}\n", one);
    for (const auto& [name, places] : people.joined) fmt::print("joined    {} ({})\n", name, fmt::join(places, ", "));
    if (people.empty()) fmt::print("nobody joined, was renamed or left since {} was built\n", options->file);
  });
}

}  // namespace ingot
