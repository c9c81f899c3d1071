// models/catalogue.toml: open models that can be had without an account, each with licence, size, hash and several places.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

struct CatalogueFile {
  std::string path;    // below the model's folder
  uint64_t size = 0;   // bytes
  std::string sha256;  // hex
  // Places in the order in which they are tried; a place is one part, or several that are joined. A part is
  // "hf:OWNER/NAME[@REVISION]:FILE", "wheel:PACKAGE==VERSION:MEMBER" or a URL.
  std::vector<std::vector<std::string>> places;
};

struct CatalogueModel {
  std::string name, kind, summary, licence, licence_url, open;
  std::vector<std::string> languages;
  std::vector<CatalogueFile> files;
  uint64_t size() const;  // bytes
};

// Throws Error (input) with file:line.
std::vector<CatalogueModel> parse_catalogue(std::string_view text, const std::string& where);

// The catalogue that was installed with this binary; empty where there is none (the static runner).
std::vector<CatalogueModel> installed_catalogue();

// One part of a place, taken apart. Throws Error (input).
struct ModelPlace {
  enum class Kind { hub, wheel, url, path } kind = Kind::url;
  std::string owner_name;       // hub: "owner/name"; wheel: the package
  std::string revision;         // hub: a branch, tag or commit, "main" if none is given; wheel: the version
  std::string file;             // hub, wheel: the file or member, may be empty for the hub; url, path: all of it
  static ModelPlace parse(const std::string& text);
};

}  // namespace ingot
