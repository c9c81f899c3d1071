// A language model that several AIs stand on: read once, mapped once, known by its hash.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "runtime/open_model.h"

namespace ingot {

class Archive;

struct SharedBase {
  std::shared_ptr<const Llama> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string sha256;          // of the model file, hex
  std::string name;            // as the recipe named it
  std::filesystem::path path;  // empty: it lies in the archive
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  // keeps the bytes
};

// A path or a model's name. Two calls for the same bytes give the same object while anyone holds it. Thread-safe.
std::shared_ptr<const SharedBase> open_shared_base(const std::string& name);

// Where the base of a packed AI lies.
struct BasePlace {
  std::string sha256, name;
  std::filesystem::path path;  // empty: in the archive
  uint64_t bytes = 0;
  std::string file;            // as base.json names it; empty: it names none
};

// The base of a packed AI, found and compared with its hash, but not loaded: its member model.gguf, or the file that base.json names by hash, looked for beside the archive, in a folder
// `bases` beside it, and among the models of this machine. Throws Error (environment) when it is nowhere, Error (altered) when a file of
// that name has another hash.
BasePlace find_base(const Archive& archive);
std::shared_ptr<const SharedBase> base_of(const std::shared_ptr<const Archive>& archive);  // the same, loaded

// base.json for an AI that refers to `base`.
std::string base_reference(const SharedBase& base);

}  // namespace ingot
