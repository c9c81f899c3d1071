#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/data_folder.h"
#include "core/error.h"
#include "core/progress.h"
#include "runtime/model_pull.h"

namespace ingot {

void add_pull(CLI::App& app) {
  struct Options {
    std::string what, data;
    PullOptions pull;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("pull", "Fetch a model: a name of the catalogue, hf:OWNER/NAME, an address or a path");
  command->add_option("MODEL", o->what, "NAME, hf:OWNER/NAME[:FILE][@REVISION], https://... or a path; see ingot list --catalogue")->required();
  command->add_option("--name", o->pull.name, "keep it under this name");
  command->add_option("--data", o->data, "data folder; else INGOT_DATA, else $XDG_DATA_HOME/ingot");
  command->add_option("--hub", o->pull.hub, "address of the hub or a mirror; else INGOT_HF_ENDPOINT or HF_ENDPOINT");
  command->add_option("--index", o->pull.index, "address of the Python package index; else INGOT_INDEX_URL or pip's own");
  command->add_option("--sha256", o->pull.sha256, "what the one file must hash to")->check([](const std::string& text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos ? "" : "64 lower-case hexadecimal digits are needed";
  });
  command->add_flag("--offline", o->pull.offline, "fetch nothing: say whether it is here")->envname("INGOT_OFFLINE");
  command->add_flag("--again", o->pull.again, "fetch even if it is here, and replace it");
  command->add_flag("--json", o->json, "one JSON object about what is there now");
  command->callback([o] {
    o->pull.data = data_folder(o->data);
    if (o->json) {
      set_progress_style(ProgressStyle::silent);
    } else {
      o->pull.say = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
    }
    const Pulled pulled = pull_model(o->what, installed_catalogue(), o->pull);
    const StoredModel& model = pulled.model;
    const auto folder = model_folder(o->pull.data, model.name);
    if (o->json) {
      auto out = nlohmann::json::parse(model.json());
      out["path"] = (model.open == "." ? folder : folder / model.open).string();
      out["already"] = pulled.already;
      std::puts(out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
      return;
    }
    // A path or an address has no hash to be held to unless one was given.
    const bool held_to = !o->pull.sha256.empty() || o->what.starts_with("hf:") || std::ranges::any_of(installed_catalogue(), [&](const CatalogueModel& m) { return m.name == o->what; });
    fmt::print("{} {} ({:.1f} MB, licence {}, from {})\n", model.name, pulled.already ? "is here already" : held_to ? "is here, every byte verified" : "is here as it came, with no hash to verify", static_cast<double>(model.size()) / 1e6, model.licence, model.origin);
    fmt::print("{}\n", (model.open == "." ? folder : folder / model.open).string());
  });
}

}  // namespace ingot
