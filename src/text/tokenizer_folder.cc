// A tokenizer as a Hugging Face folder keeps it: tokenizer.json or tokenizer.model and the small files beside it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "text/tokenizer_parts.h"

namespace ingot {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr uint64_t kMostSettings = 64 << 20;

Json read_json(const fs::path& path) {
  if (!fs::is_regular_file(path)) return Json::object();
  if (fs::file_size(path) > kMostSettings) bad_input("the file has " + std::to_string(fs::file_size(path)) + " bytes, at most " + std::to_string(kMostSettings) + " are read", path.string(), "use the model's own file");
  try {
    Json json = Json::parse(MappedFile(path).text());
    return json.is_object() ? json : Json::object();
  } catch (const nlohmann::json::exception& error) {
    bad_input(std::string("not JSON: ") + error.what(), path.string(), "use the model's own file");
  }
}

// A token is written as its text or as an object with the text inside.
std::string token_text(const Json& settings, const char* key) {
  auto it = settings.find(key);
  if (it == settings.end()) return "";
  if (it->is_string()) return it->get<std::string>();
  if (it->is_object() && it->contains("content") && (*it)["content"].is_string()) return (*it)["content"].get<std::string>();
  return "";
}

bool flag(const Json& json, const char* key, bool otherwise) {
  auto it = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && it != json.end() && it->is_boolean() ? it->get<bool>() : otherwise;
}

// Ids beyond the file's grow the vocabulary only where they follow it closely, below `most`: a stray one is refused.
void add_token(TokenizerParts& p, AddedToken token, int32_t most) {
  auto same = std::find_if(p.added.begin(), p.added.end(), [&](const AddedToken& t) { return t.text == token.text || t.id == token.id; });
  if (token.text.empty() || same != p.added.end()) return;
  if (token.id < 0 || token.id >= most)
    refuse_tokenizer("the added token \"" + token.text + "\" has the id " + std::to_string(token.id) + ", but there are " + std::to_string(p.vocab.size()) + " tokens", p.name);
  while (p.vocab.size() <= token.id) {
    p.vocab.add("");
    if (!p.scores.empty()) p.scores.push_back(0);
    if (!p.types.empty()) p.types.push_back(PieceType::kUnused);
  }
  p.added.push_back(std::move(token));
}

void read_added(const Json& settings, const fs::path& folder, TokenizerParts& p) {
  const auto it = settings.find("added_tokens_decoder");
  const bool listed = it != settings.end() && it->is_object();
  const Json added = read_json(folder / "added_tokens.json");
  const auto most = static_cast<int32_t>(static_cast<size_t>(p.vocab.size()) + 4096 + added.size() + (listed ? it->size() : 0));
  if (listed)
    for (const auto& [key, token] : it->items()) {
      char* end = nullptr;
      const long id = std::strtol(key.c_str(), &end, 10);
      if (key.empty() || *end != '\0' || id < 0 || id > INT32_MAX || !token.is_object()) refuse_tokenizer("added_tokens_decoder has the key \"" + key + "\"", p.name);
      add_token(p, {token_text(token, "content"), static_cast<int32_t>(id), flag(token, "special", false), flag(token, "lstrip", false),
                    flag(token, "rstrip", false), flag(token, "single_word", false), flag(token, "normalized", false)}, most);
    }
  for (const auto& [text, id] : added.items())
    if (id.is_number_integer() && id.get<int64_t>() <= INT32_MAX) add_token(p, {text, static_cast<int32_t>(id.get<int64_t>()), false}, most);
}

void read_template(const Json& settings, const fs::path& folder, TokenizerParts& p) {
  auto take = [&](const Json& value) {
    if (value.is_string()) p.chat_template = value.get<std::string>();
    if (!value.is_array()) return;
    for (const Json& one : value) {  // several, by name; transformers takes these two by itself
      if (!one.is_object()) continue;
      if (token_text(one, "name") == "default") p.chat_template = token_text(one, "template");
      if (token_text(one, "name") == "tool_use") p.tool_template = token_text(one, "template");
    }
  };
  if (settings.contains("chat_template")) take(settings["chat_template"]);
  if (const Json file = read_json(folder / "chat_template.json"); file.contains("chat_template")) take(file["chat_template"]);
  if (const fs::path file = folder / "chat_template.jinja"; fs::is_regular_file(file)) p.chat_template = std::string(MappedFile(file).text());
  if (const fs::path file = folder / "additional_chat_templates/tool_use.jinja"; fs::is_regular_file(file)) p.tool_template = std::string(MappedFile(file).text());
}

void read_settings(const Json& settings, const fs::path& folder, TokenizerParts& p) {
  const Json special = read_json(folder / "special_tokens_map.json");
  struct Role {
    const char* key;
    int32_t* id;
  };
  for (const Role& role : {Role{"bos_token", &p.bos}, Role{"eos_token", &p.eos}, Role{"pad_token", &p.pad}}) {
    std::string text = token_text(settings, role.key);
    if (text.empty()) text = token_text(special, role.key);
    if (text.empty()) continue;
    const int32_t id = find_token(p, text);
    if (id < 0) continue;
    // A template's own token keeps its place when the settings name another for the role.
    if (role.id == &p.bos && p.add_bos && p.bos >= 0 && p.bos != id) p.before.push_back(p.bos), p.add_bos = false;
    if (role.id == &p.eos && p.add_eos && p.eos >= 0 && p.eos != id) p.after.insert(p.after.begin(), p.eos), p.add_eos = false;
    *role.id = id;
  }
}

void read_ends(const fs::path& folder, TokenizerParts& p) {
  for (const char* file : {"generation_config.json", "config.json"}) {
    const Json json = read_json(folder / file);
    auto it = json.find("eos_token_id");
    if (it == json.end()) continue;
    for (const Json& id : it->is_array() ? *it : Json::array({*it}))
      if (id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < p.vocab.size()) p.ends.push_back(id.get<int32_t>());
    if (!p.ends.empty()) return;
  }
  if (p.eos >= 0) p.ends.push_back(p.eos);
}

bool starts_with_any(const std::string& name, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* p) { return name.starts_with(p); });
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_folder(const fs::path& folder) {
  const Json settings = read_json(folder / "tokenizer_config.json");
  const std::string type = token_text(settings, "tokenizer_class");
  TokenizerParts p;
  if (fs::is_regular_file(folder / "tokenizer.json")) {
    p = parts_from_json(MappedFile(folder / "tokenizer.json").text(), (folder / "tokenizer.json").string());
    read_added(settings, folder, p);
    read_settings(settings, folder, p);
    // These classes write their own template from the settings.
    if (starts_with_any(type, {"Llama", "CodeLlama", "Gemma"})) {
      if (settings.contains("add_bos_token")) p.add_bos = flag(settings, "add_bos_token", p.add_bos);
      if (settings.contains("add_eos_token")) p.add_eos = flag(settings, "add_eos_token", p.add_eos);
    }
  } else if (fs::is_regular_file(folder / "tokenizer.model")) {
    if (starts_with_any(type, {"XLMRoberta", "MBart", "Camembert", "NLLB", "Pegasus"}))
      bad_input(type + " numbers its pieces otherwise than tokenizer.model does", folder.string(), "give the folder's tokenizer.json too");
    p = parts_from_sentence_piece(MappedFile(folder / "tokenizer.model").text(), (folder / "tokenizer.model").string());
    // The newer way puts the space in front of the text only, the older one after each special token too.
    if (p.dummy_prefix && p.kind == TokenizerKind::kScoredBpe && !flag(settings, "legacy", true)) {
      p.added.clear();
      follow_sentence_piece(p, Prefix::kFirst);
    }
    read_added(settings, folder, p);
    read_settings(settings, folder, p);
    p.add_bos = p.bos >= 0 && flag(settings, "add_bos_token", p.add_bos);
    p.add_eos = p.eos >= 0 && flag(settings, "add_eos_token", p.add_eos);
  } else {
    bad_input("there is no tokenizer.json and no tokenizer.model", folder.string(), "give a folder with one of them");
  }
  read_template(settings, folder, p);
  read_ends(folder, p);
  return std::make_shared<const Tokenizer>(std::move(p));
}

std::shared_ptr<const Tokenizer> Tokenizer::open(const fs::path& path) {
  if (fs::is_directory(path)) return from_folder(path);
  const std::string name = path.string();
  if (name.ends_with(".gguf")) return from_gguf(*Gguf::open(path));
  MappedFile file(path);
  if (file.text().starts_with("GGUF")) return from_gguf(*Gguf::open(path));
  if (name.ends_with(".json")) return from_json(file.text(), name);
  if (name.ends_with(".model")) return from_sentence_piece(file.text(), name);
  bad_input("this is no tokenizer that is known by its name", name, "give a .gguf file, a Hugging Face folder, a tokenizer.json or a tokenizer.model");
}

}  // namespace ingot
