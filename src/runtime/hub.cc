#include "runtime/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "formats/archive_zip.h"

namespace ingot {
namespace {

using nlohmann::json;

// RFC 3986's unreserved bytes and '/' stay.
std::string escaped(std::string_view path) {
  std::string out;
  for (unsigned char c : path) {
    if (std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~' || c == '/') {
      out += static_cast<char>(c);
    } else {
      out += fmt::format("%{:02X}", c);
    }
  }
  return out;
}

std::string text_of(const json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

json parsed(std::string_view text, const std::string& where) {
  json out = json::parse(text, nullptr, false);
  if (out.is_discarded()) bad_input("the hub does not answer with JSON", where, "check its address");
  return out;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

// "name-00002-of-00005.gguf" -> "name", 5; 0 if the file is not one of several.
size_t parts_of(const std::string& file, std::string* stem) {
  const size_t at = file.rfind("-of-");
  if (at == file.npos || at < 6 || file.size() != at + 14 || file[at - 6] != '-') return 0;
  for (size_t i : {at - 5, at - 4, at - 3, at - 2, at - 1, at + 4, at + 5, at + 6, at + 7, at + 8})
    if (!std::isdigit(static_cast<unsigned char>(file[i]))) return 0;
  *stem = file.substr(0, at - 6);
  return std::strtoul(file.c_str() + at + 4, nullptr, 10);
}

bool in_folder(const std::string& path) { return path.find('/') != path.npos; }

}  // namespace

Hub Hub::from_environment(const std::string& given) {
  Hub hub;
  hub.endpoint = given;
  for (const char* name : {"INGOT_HF_ENDPOINT", "HF_ENDPOINT"})
    if (const char* value = std::getenv(name); hub.endpoint.empty() && value) hub.endpoint = value;
  if (hub.endpoint.empty()) hub.endpoint = "https://huggingface.co";
  while (hub.endpoint.ends_with("/")) hub.endpoint.pop_back();
  if (const char* token = std::getenv("HF_TOKEN")) hub.token = token;
  return hub;
}

HttpQuery Hub::query(const std::string& path) const { return {endpoint + path, {}, token, retry}; }

std::string Hub::file_url(const std::string& repository, const std::string& revision, const std::string& file) const {
  return fmt::format("{}/{}/resolve/{}/{}", endpoint, repository, escaped(revision), escaped(file));
}

void read_repository(std::string_view text, HubRepository* repository) {
  const json in = parsed(text, repository->name);
  repository->commit = text_of(in, "sha");
  if (repository->commit.size() < 7 || repository->commit.find_first_not_of("0123456789abcdef") != std::string::npos) bad_input("the hub names no commit", repository->name, "check its address");
  const json card = in.value("cardData", json());
  std::string licence = text_of(card, "license"), url = text_of(card, "license_link");
  if (licence == "other" && !text_of(card, "license_name").empty()) licence = text_of(card, "license_name");
  if (const json tags = in.value("tags", json()); licence.empty() && tags.is_array())
    for (const json& tag : tags)
      if (tag.is_string() && tag.get<std::string>().starts_with("license:")) licence = tag.get<std::string>().substr(8);
  if (!licence.empty()) repository->licence = licence;
  repository->licence_url = url;
  const json gated = in.value("gated", json());
  repository->gated = gated.is_string() || gated == true;
}

void read_files(std::string_view text, HubRepository* repository) {
  const json in = parsed(text, repository->name);
  if (!in.is_array()) bad_input("the hub does not list the files", repository->name, "check its address");
  for (const json& entry : in) {
    HubFile file;
    file.path = text_of(entry, "path");
    if (text_of(entry, "type") != "file" || !name_problem(file.path).empty()) continue;
    if (const json size = entry.value("size", json()); size.is_number_unsigned()) file.size = size.get<uint64_t>();
    const json lfs = entry.value("lfs", json());
    if (lfs.is_object()) {
      file.sha256 = text_of(lfs, "oid");
      if (const json size = lfs.value("size", json()); size.is_number_unsigned()) file.size = size.get<uint64_t>();
    } else {
      file.blob = text_of(entry, "oid");
    }
    repository->files.push_back(std::move(file));
  }
}

HubRepository look_up(const Hub& hub, const std::string& repository, const std::string& revision) {
  HubRepository out;
  out.name = repository;
  read_repository(http_get(hub.query(fmt::format("/api/models/{}/revision/{}", repository, escaped(revision)))).body, &out);
  HttpQuery query = hub.query(fmt::format("/api/models/{}/tree/{}?recursive=true", repository, out.commit));
  for (int page = 0; page < 100; ++page) {
    const HttpAnswer answer = http_get(query);
    read_files(answer.body, &out);
    // More pages are named as: <https://…>; rel="next"
    const auto link = answer.headers.find("link");
    if (link == answer.headers.end() || link->second.find("rel=\"next\"") == std::string::npos) return out;
    const size_t begin = link->second.find('<'), end = link->second.find('>');
    if (begin == std::string::npos || end == std::string::npos || end < begin) return out;
    query.url = link->second.substr(begin + 1, end - begin - 1);
    if (!query.url.starts_with(hub.endpoint + "/")) query.bearer.clear();
  }
  return out;
}

std::vector<HubFile> choose_files(const HubRepository& repository, const std::string& wanted) {
  std::vector<HubFile> ggufs, out;
  for (const HubFile& file : repository.files) {
    if (!wanted.empty() && file.path == wanted) out.push_back(file);
    if (lower(file.path).ends_with(".gguf")) ggufs.push_back(file);
  }
  std::string choices;
  for (const HubFile& file : ggufs) choices += fmt::format("{}{} ({:.0f} MB)", choices.empty() ? "" : ", ", file.path, static_cast<double>(file.size) / 1e6);
  if (out.empty() && !wanted.empty()) {
    // The type may be given alone, as in hf:owner/name:Q4_K_M; it must be a word of the file's name.
    for (const HubFile& file : ggufs) {
      const std::string name = lower(file.path), word = lower(wanted);
      const size_t at = name.rfind(word);
      const auto bound = [&](size_t i) { return i >= name.size() || std::string_view("-._/").find(name[i]) != std::string_view::npos; };
      if (at != name.npos && (at == 0 || bound(at - 1)) && bound(at + word.size())) out.push_back(file);
    }
  }
  if (out.empty() && wanted.empty() && !ggufs.empty()) out = ggufs;
  std::string stem, other;
  if (!out.empty() && parts_of(out[0].path, &stem)) {
    const size_t parts = parts_of(out[0].path, &stem);
    std::vector<HubFile> all;
    for (const HubFile& file : repository.files)
      if (parts_of(file.path, &other) == parts && other == stem) all.push_back(file);
    const bool same = std::all_of(out.begin(), out.end(), [&](const HubFile& file) { return parts_of(file.path, &other) == parts && other == stem; });
    if (same && all.size() != parts) bad_input(fmt::format("{} of {} parts of {} are there", all.size(), parts, stem), "hf:" + repository.name, "choose another file");
    if (same) return all;
  }
  if (out.size() == 1) return out;
  if (out.size() > 1 || !wanted.empty()) {
    bad_input(wanted.empty() ? "there are several files to choose from" : fmt::format("\"{}\" is not one file there", wanted), "hf:" + repository.name,
              choices.empty() ? "see the repository's files" : fmt::format("say which, as hf:{}:{}: {}", repository.name, ggufs.empty() ? "FILE" : ggufs[0].path, choices));
  }
  // A Hugging Face folder: what loaders read, not the same weights in three other formats.
  static const std::set<std::string> kSidecars = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
                                                  "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json", "additional_chat_templates/tool_use.jinja", "preprocessor_config.json",
                                                  "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json", "2_Dense/config.json",
                                                  "2_Dense/model.safetensors", "adapter_config.json", "README.md", "LICENSE", "LICENSE.txt", "NOTICE"};
  bool weights = false;
  for (const HubFile& file : repository.files) {
    const bool safetensors = !in_folder(file.path) && (file.path.ends_with(".safetensors") || file.path.ends_with(".safetensors.index.json"));
    weights |= safetensors;
    if (safetensors || kSidecars.contains(file.path)) out.push_back(file);
  }
  if (!weights) bad_input("there is neither a GGUF nor safetensors", "hf:" + repository.name, "name one file, as hf:OWNER/NAME:FILE");
  // Sharded and whole copies of the same weights: the index says which belong together; the whole one is enough.
  const auto has = [&](const char* name) { return std::any_of(out.begin(), out.end(), [&](const HubFile& file) { return file.path == name; }); };
  if (has("model.safetensors")) std::erase_if(out, [&](const HubFile& file) { return parts_of(file.path.substr(0, file.path.size() - 12) + ".gguf", &other) > 0 || file.path.ends_with(".index.json"); });
  return out;
}

}  // namespace ingot
