// A model hub that speaks Hugging Face's HTTP interface: what a repository holds, and where its files are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/download.h"

namespace ingot {

struct Hub {
  std::string endpoint;  // "https://huggingface.co", or a mirror of it
  std::string token;     // may be empty
  RetryPolicy retry;

  // The given address, else $INGOT_HF_ENDPOINT, $HF_ENDPOINT, else the public hub; the token is $HF_TOKEN.
  static Hub from_environment(const std::string& given = "");
  HttpQuery query(const std::string& path) const;
  std::string file_url(const std::string& repository, const std::string& revision, const std::string& file) const;
};

struct HubFile {
  std::string path;
  uint64_t size = 0;   // bytes
  std::string sha256;  // hex, of large files
  std::string blob;    // git's name of the others: the SHA-1 of "blob SIZE\0" and the bytes
};

struct HubRepository {
  std::string name, commit, licence = "unknown", licence_url;
  bool gated = false;
  std::vector<HubFile> files;
};

HubRepository look_up(const Hub& hub, const std::string& repository, const std::string& revision);

// The parts of look_up that read what a server sends. Throw Error (input).
void read_repository(std::string_view json, HubRepository* repository);  // all but files
void read_files(std::string_view json, HubRepository* repository);       // adds one page of files

// What of a repository makes a model: `wanted` names a file, or the type of a GGUF ("Q4_K_M"), or is empty: the only GGUF,
// else a Hugging Face folder. All parts of a split file. Throws Error (input) with the choices.
std::vector<HubFile> choose_files(const HubRepository& repository, const std::string& wanted);

}  // namespace ingot
