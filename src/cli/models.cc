// ingot list, show and remove: the models that are on this machine.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/data_folder.h"
#include "core/error.h"
#include "core/files.h"
#include "core/nearest.h"
#include "formats/gguf.h"
#include "runtime/catalogue.h"
#include "runtime/model_store.h"

namespace ingot {
namespace {

using nlohmann::json;

double mb(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

void print(const json& value) { std::puts(value.dump(-1, ' ', false, json::error_handler_t::replace).c_str()); }

// The models that came with this binary; they have no record of their own.
std::vector<std::pair<std::string, uint64_t>> embedded() {
  std::vector<std::pair<std::string, uint64_t>> out;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(share_dir() / "models", failed))
    if (entry.path().extension() == ".gguf") out.emplace_back(entry.path().stem().string(), entry.file_size(failed));
  return out;
}

void list(const std::filesystem::path& data, bool catalogue, bool as_json) {
  json rows = json::array();
  const auto stored = stored_models(data);
  for (const auto& [name, size] : embedded()) rows.push_back({{"name", name}, {"kind", "base"}, {"size", size}, {"licence", "Apache-2.0"}, {"where", "embedded"}});
  for (const StoredModel& model : stored)
    rows.push_back({{"name", model.name}, {"kind", model.kind}, {"size", model.size()}, {"licence", model.licence}, {"where", "pulled"}, {"origin", model.origin}});
  if (catalogue) {
    for (const CatalogueModel& model : installed_catalogue()) {
      if (stored_model(data, model.name)) continue;
      rows.push_back({{"name", model.name}, {"kind", model.kind}, {"size", model.size()}, {"licence", model.licence}, {"where", "to pull"}, {"summary", model.summary}});
    }
  }
  if (as_json) return print(rows);
  fmt::print("{:<28} {:<15} {:>9}  {:<20} {}\n", "name", "kind", "MB", "licence", "where");
  for (const json& row : rows)
    fmt::print("{:<28} {:<15} {:>9.1f}  {:<20} {}\n", row["name"].get<std::string>(), row["kind"].get<std::string>(), mb(row["size"].get<uint64_t>()), row["licence"].get<std::string>(),
               row["where"] == "pulled" ? row["origin"].get<std::string>() : row["where"].get<std::string>());
  if (!catalogue) fmt::print("\nmodels lie in {}; ingot list --catalogue names more that can be pulled\n", (data / "models").string());
}

// What the head of a GGUF says; empty for other files.
json facts(const std::filesystem::path& file) {
  if (file.extension() != ".gguf") return {};
  const auto gguf = Gguf::open(file);
  const std::string family = gguf->text("general.architecture", "");
  int64_t parameters = 0;
  std::map<std::string, int> types;
  for (const GgufTensor& tensor : gguf->tensors()) {
    parameters += tensor.elements();
    ++types[std::string(element_name(tensor.type))];
  }
  return {{"family", family}, {"parameters", parameters}, {"context", gguf->integer(family + ".context_length", 0)}, {"layers", gguf->integer(family + ".block_count", 0)}, {"types", types}};
}

void show(const std::filesystem::path& data, const std::string& name, bool as_json) {
  json out;
  std::filesystem::path opened;
  if (const auto model = stored_model(data, name)) {
    out = json::parse(model->json());
    out["where"] = "pulled";
    const auto folder = model_folder(data, name);
    opened = model->open == "." ? folder : folder / model->open;
  } else if (const auto own = share_dir() / "models" / (name + ".gguf"); good_model_name(name) && std::filesystem::is_regular_file(own)) {
    out = {{"name", name}, {"kind", "base"}, {"licence", "Apache-2.0"}, {"where", "embedded"}, {"summary", "came with this binary; models/" + name + ".md says how it was made"}, {"size", std::filesystem::file_size(own)}};
    opened = own;
  } else {
    std::vector<std::string> known;
    for (const CatalogueModel& entry : installed_catalogue()) {
      known.push_back(entry.name);
      if (entry.name != name) continue;
      json files = json::array();
      for (const CatalogueFile& file : entry.files) files.push_back({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}, {"from", file.places}});
      out = {{"name", name}, {"kind", entry.kind}, {"summary", entry.summary}, {"languages", entry.languages}, {"licence", entry.licence}, {"licence_url", entry.licence_url}, {"size", entry.size()}, {"where", "to pull"}, {"files", files}};
    }
    for (const StoredModel& model : stored_models(data)) known.push_back(model.name);
    if (out.is_null()) {
      const std::string near = nearest_name(name, known);
      bad_input("there is no model \"" + name + "\"", "show", near.empty() ? "see ingot list --catalogue" : "did you mean \"" + near + "\"?");
    }
  }
  if (!opened.empty()) {
    out["path"] = opened.string();
    if (json head = facts(opened); !head.is_null()) out["model"] = head;
  }
  if (as_json) return print(out);
  const auto line = [](const char* key, const std::string& value) {
    if (!value.empty()) fmt::print("{:<10} {}\n", key, value);
  };
  const auto text = [&](const char* key) { return out.value(key, ""); };
  line("name", text("name"));
  line("what", text("summary"));
  line("kind", text("kind"));
  line("licence", text("licence") + (text("licence_url").empty() ? "" : ", " + text("licence_url")));
  line("where", text("where"));
  line("from", text("origin") + (text("revision").empty() ? "" : " at " + text("revision")));
  if (const auto at = out.value("pulled_at", int64_t{0})) line("pulled", fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<time_t>(at))));
  line("size", fmt::format("{:.1f} MB", mb(out.value("size", uint64_t{0}))));
  line("path", text("path"));
  if (out.contains("model")) {
    const json& head = out["model"];
    line("family", fmt::format("{}, {:.1f} million parameters, {} layers, context {}", head["family"].get<std::string>(), head["parameters"].get<double>() / 1e6, head["layers"].get<int64_t>(), head["context"].get<int64_t>()));
    std::string types;
    for (const auto& [type, count] : head["types"].items()) types += fmt::format("{}{} x {}", types.empty() ? "" : ", ", count.get<int>(), type);
    line("tensors", types);
  }
  if (out.contains("files"))
    for (const json& file : out["files"]) fmt::print("file       {} ({:.1f} MB) sha256 {}\n", file["path"].get<std::string>(), mb(file["size"].get<uint64_t>()), file["sha256"].get<std::string>());
}

struct ModelsOptions {
  std::string name, data;
  bool json = false, catalogue = false;
};

void add_common(CLI::App* command, const std::shared_ptr<ModelsOptions>& o) {
  command->add_option("--data", o->data, "data folder; else INGOT_DATA, else $XDG_DATA_HOME/ingot");
  command->add_flag("--json", o->json, "print JSON");
}

}  // namespace

void add_list(CLI::App& app) {
  auto o = std::make_shared<ModelsOptions>();
  auto* command = app.add_subcommand("list", "The models on this machine, and those that can be pulled");
  command->add_flag("--catalogue", o->catalogue, "also those that can be pulled");
  add_common(command, o);
  command->callback([o] { list(data_folder(o->data), o->catalogue, o->json); });
}

void add_show(CLI::App& app) {
  auto o = std::make_shared<ModelsOptions>();
  auto* command = app.add_subcommand("show", "A model's licence, origin, hashes and shape");
  command->add_option("NAME", o->name, "a model of ingot list --catalogue")->required();
  add_common(command, o);
  command->callback([o] { show(data_folder(o->data), o->name, o->json); });
}

void add_remove(CLI::App& app) {
  auto o = std::make_shared<ModelsOptions>();
  auto* command = app.add_subcommand("remove", "Delete a pulled model");
  command->add_option("NAME", o->name, "a pulled model")->required();
  add_common(command, o);
  command->callback([o] {
    remove_model(data_folder(o->data), o->name);
    if (o->json) {
      print({{"removed", o->name}});
    } else {
      fmt::print("removed {}\n", o->name);
    }
  });
}

}  // namespace ingot
