// The models that were pulled: DATA/models/NAME/ with the files and pulled.json, which says where they are from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ingot {

struct StoredFile {
  std::string path;    // below the model's folder
  uint64_t size = 0;   // bytes
  std::string sha256;  // hex
};

struct StoredModel {
  std::string name;
  std::string kind;                  // chat, base, embed, ...; may be empty
  std::string summary, origin, revision;
  std::string licence, licence_url;  // an SPDX name where there is one; "unknown"
  std::string open;                  // what a loader opens, below the folder: a file, or "." for the folder itself
  int64_t pulled_at = 0;             // seconds since 1970
  std::vector<StoredFile> files;

  uint64_t size() const;  // bytes of all files
  std::string json() const;
  static StoredModel parse(const std::string& json, const std::string& where);  // throws Error (input)
};

// What open_model opens for the name, if it was pulled into the data folder of the environment: a .gguf file or a folder.
std::optional<std::filesystem::path> pulled_model(const std::string& name);

// The same, for a data folder; nothing if there is no such model.
std::optional<StoredModel> stored_model(const std::filesystem::path& data, const std::string& name);
std::vector<StoredModel> stored_models(const std::filesystem::path& data);  // by name; folders that are no models are passed over

std::filesystem::path model_folder(const std::filesystem::path& data, const std::string& name);

// 1 to 100 letters, digits, '-', '_', '.', not beginning with '.'.
bool good_model_name(const std::string& name);

// Throws Error (input) if there is no such model.
void remove_model(const std::filesystem::path& data, const std::string& name);

}  // namespace ingot
