#include "runtime/model_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/data_folder.h"
#include "core/error.h"
#include "core/files.h"
#include "core/nearest.h"
#include "formats/archive_zip.h"

namespace ingot {
namespace fs = std::filesystem;
using nlohmann::json;

uint64_t StoredModel::size() const {
  uint64_t sum = 0;
  for (const StoredFile& file : files) sum += file.size;
  return sum;
}

std::string StoredModel::json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const StoredFile& file : files) list.push_back({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}});
  const nlohmann::json out = {{"name", name},       {"kind", kind},     {"summary", summary},         {"origin", origin},       {"revision", revision}, {"licence", licence},
                              {"licence_url", licence_url}, {"open", open}, {"pulled_at", pulled_at}, {"size", size()}, {"files", list}};
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

StoredModel StoredModel::parse(const std::string& text, const std::string& where) {
  try {
    const auto in = nlohmann::json::parse(text);
    StoredModel out;
    out.name = in.at("name").get<std::string>();
    out.kind = in.value("kind", "");
    out.summary = in.value("summary", "");
    out.origin = in.value("origin", "");
    out.revision = in.value("revision", "");
    out.licence = in.value("licence", "unknown");
    out.licence_url = in.value("licence_url", "");
    out.open = in.at("open").get<std::string>();
    out.pulled_at = in.value("pulled_at", int64_t{0});
    for (const auto& file : in.at("files")) out.files.push_back({file.at("path").get<std::string>(), file.at("size").get<uint64_t>(), file.at("sha256").get<std::string>()});
    if (out.open != "." && !name_problem(out.open).empty()) throw Error(ErrorKind::input, "\"open\" " + name_problem(out.open), where, "remove the folder and pull the model again");
    return out;
  } catch (const std::exception& error) {
    bad_input(std::string("not a record of a pulled model: ") + error.what(), where, "remove the folder and pull the model again");
  }
}

bool good_model_name(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name.front() != '.' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == std::string::npos;
}

fs::path model_folder(const fs::path& data, const std::string& name) { return data / "models" / name; }

std::optional<StoredModel> stored_model(const fs::path& data, const std::string& name) {
  if (!good_model_name(name)) return {};
  const fs::path record = model_folder(data, name) / "pulled.json";
  std::error_code failed;
  if (!fs::is_regular_file(record, failed)) return {};
  return StoredModel::parse(read_file(record, 16 << 20), record.string());
}

std::vector<StoredModel> stored_models(const fs::path& data) {
  std::vector<StoredModel> out;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(data / "models", failed))
    if (auto model = stored_model(data, entry.path().filename().string())) out.push_back(std::move(*model));
  std::sort(out.begin(), out.end(), [](const StoredModel& a, const StoredModel& b) { return a.name < b.name; });
  return out;
}

std::optional<fs::path> pulled_model(const std::string& name) {
  const fs::path data = data_folder();
  const auto model = stored_model(data, name);
  std::error_code failed;
  const fs::path by_hand = data / "models" / (name + ".gguf");  // put there by a person
  if (!model && good_model_name(name) && fs::is_regular_file(by_hand, failed)) return by_hand;
  if (!model) return {};
  const fs::path folder = model_folder(data, name);
  return model->open == "." ? folder : folder / model->open;
}

void remove_model(const fs::path& data, const std::string& name) {
  std::error_code failed;
  const fs::path folder = model_folder(data, name);
  if (!good_model_name(name) || !fs::is_regular_file(folder / "pulled.json", failed)) {
    std::vector<std::string> known;
    for (const StoredModel& model : stored_models(data)) known.push_back(model.name);
    const std::string near = nearest_name(name, known);
    bad_input("there is no pulled model \"" + name + "\"", (data / "models").string(), near.empty() ? "see ingot list" : "did you mean \"" + near + "\"?");
  }
  // Renamed first: half a model is never found under its name.
  const fs::path gone = data / "models" / (".removed-" + name);
  fs::remove_all(gone, failed);
  fs::rename(folder, gone, failed);
  if (!failed) fs::remove_all(gone, failed);
  if (failed) throw Error(ErrorKind::environment, "cannot remove: " + failed.message(), folder.string(), "check permissions");
}

}  // namespace ingot
