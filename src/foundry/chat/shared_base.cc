#include "foundry/chat/shared_base.h"

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "formats/archive.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

// What a file was when it was last hashed; hashing a large model on every open would cost seconds.
struct Stamp {
  std::uintmax_t size;
  fs::file_time_type time;
  bool operator==(const Stamp&) const = default;
};

std::mutex guard;
std::map<std::string, std::weak_ptr<const SharedBase>> by_hash;
std::map<fs::path, std::pair<Stamp, std::string>> hashes;

Stamp stamp_of(const fs::path& path) { return {fs::file_size(path), fs::last_write_time(path)}; }

std::string hash_of(const fs::path& path, std::span<const std::byte> bytes) {
  const fs::path whole = fs::absolute(path);
  const Stamp stamp = stamp_of(whole);
  std::lock_guard lock(guard);
  auto found = hashes.find(whole);
  if (found != hashes.end() && found->second.first == stamp) return found->second.second;
  std::string hash = hex(sha256(bytes));
  hashes[whole] = {stamp, hash};
  return hash;
}

std::shared_ptr<const SharedBase> shared(std::string hash, std::string name, fs::path path, std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  std::lock_guard lock(guard);
  if (auto known = by_hash[hash].lock()) return known;
  auto file = Gguf::parse(bytes, name, owner);
  auto made = std::make_shared<SharedBase>();
  auto model = Llama::load(file);
  arrange_weights(*model);
  made->model = std::move(model);
  made->tokenizer = Tokenizer::from_gguf(*file);
  made->sha256 = hash;
  made->name = std::move(name);
  made->path = std::move(path);
  made->bytes = bytes;
  made->owner = std::move(owner);
  by_hash[hash] = made;
  return made;
}

}  // namespace

std::shared_ptr<const SharedBase> open_shared_base(const std::string& name) {
  const fs::path path = find_model(name);
  if (!fs::is_regular_file(path))
    bad_input("the base is a folder", path.string(), "an AI refers to one file: write it as GGUF first with: ingot quantize " + name + " FILE.gguf Q8_0");
  auto file = std::make_shared<MappedFile>(path);
  auto base = shared(hash_of(path, file->bytes()), name, path, file->bytes(), file);
  file->release();
  return base;
}

BasePlace find_base(const Archive& archive) {
  const std::string where = archive.path().string();
  for (const ArchiveMember& member : archive.members())
    if (member.name == "model.gguf") return {member.sha256, where + ": model.gguf", {}, member.size, ""};
  std::string hash, name, file;
  try {
    const auto reference = nlohmann::json::parse(archive.text("base.json"));
    hash = reference.at("sha256");
    name = reference.at("name");
    file = reference.at("file");
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::altered, "base.json does not name a base", where, "build the file again");
  }
  if (file.find('/') != std::string::npos || file == "..") file.clear();  // a name, never a way out of the folder
  {
    std::lock_guard lock(guard);
    if (auto known = by_hash[hash].lock(); known && !known->path.empty()) return {hash, name, known->path, known->bytes.size(), file};
  }
  std::vector<fs::path> places;
  const fs::path folder = archive.path().parent_path();
  if (!file.empty()) places = {folder / file, folder / "bases" / file};
  try {
    places.push_back(find_model(name));
  } catch (const Error&) {  // it is not on this machine
  }
  std::string other;
  for (const fs::path& place : places) {
    std::error_code none;
    if (!fs::is_regular_file(place, none)) continue;
    const MappedFile mapped(place);
    if (hash_of(place, mapped.bytes()) == hash) return {hash, name, place, mapped.bytes().size(), file};
    other = place.string();
  }
  if (!other.empty())
    throw Error(ErrorKind::altered, "the base " + name + " has not the hash " + hash.substr(0, 16) + "... that this AI was built on", other, "put the right file beside " + where);
  throw Error(ErrorKind::environment, "the base " + name + " (SHA-256 " + hash.substr(0, 16) + "...) is not on this machine", where,
              "put the file " + file + " beside it, or fetch it with: ingot pull " + name + "; ingot pack --full makes a file that needs none");
}

std::shared_ptr<const SharedBase> base_of(const std::shared_ptr<const Archive>& archive) {
  const BasePlace place = find_base(*archive);
  {
    std::lock_guard lock(guard);
    if (auto known = by_hash[place.sha256].lock()) return known;
  }
  if (place.path.empty()) return shared(place.sha256, place.name, {}, archive->member("model.gguf"), archive);
  auto mapped = std::make_shared<MappedFile>(place.path);
  return shared(place.sha256, place.name, place.path, mapped->bytes(), mapped);
}

std::string base_reference(const SharedBase& base) {
  const std::string file = base.path.empty() ? "model.gguf" : base.path.filename().string();
  return nlohmann::json{{"sha256", base.sha256}, {"bytes", base.bytes.size()}, {"name", base.name}, {"file", file}}.dump(2) + "\n";
}

}  // namespace ingot
