#include "runtime/open_model.h"

#include "core/error.h"
#include "core/files.h"
#include "formats/safetensors.h"
#include "models/bert/sentence_encoder.h"
#include "models/llama/llama_encoder.h"
#include "runtime/model_store.h"

namespace ingot {
namespace fs = std::filesystem;
namespace {

bool is_folder_model(const fs::path& path) { return fs::is_regular_file(path / "config.json"); }

std::string folder_template(const fs::path& folder) {
  if (fs::is_regular_file(folder / "chat_template.jinja")) return read_file(folder / "chat_template.jinja", size_t{4} << 20);
  if (!fs::is_regular_file(folder / "tokenizer_config.json")) return "";
  const HfConfig config = HfConfig::open(folder / "tokenizer_config.json");
  if (!config.is_list("chat_template")) return config.text("chat_template", "");
  for (const HfConfig& entry : config.objects("chat_template"))  // several by name
    if (entry.text("name", "") == "default") return entry.text("template", "");
  return "";
}

// generation_config.json has the last word, then config.json, then what the tokenizer calls its end.
std::vector<int32_t> folder_ends(const fs::path& folder, const HfConfig& config, const Tokenizer& tokenizer) {
  std::vector<int64_t> ids;
  if (fs::is_regular_file(folder / "generation_config.json")) ids = HfConfig::open(folder / "generation_config.json").integers("eos_token_id");
  if (ids.empty()) ids = config.integers("eos_token_id");
  std::vector<int32_t> ends;
  for (int64_t id : ids) {
    if (id < 0 || id >= (int64_t{1} << 31)) config.refuse("eos_token_id is " + std::to_string(id) + ", which is no token", "fetch the model again");
    ends.push_back(static_cast<int32_t>(id));
  }
  if (ends.empty() && tokenizer.eos >= 0) ends.push_back(tokenizer.eos);
  return ends;
}

LanguageModel open_folder(const fs::path& folder) {
  LanguageModel out;
  out.path = folder;
  const HfConfig config = HfConfig::open(folder / "config.json");
  out.model = Llama::load(config, Safetensors::open(folder));
  out.tokenizer = Tokenizer::from_folder(folder);
  out.chat_template = folder_template(folder);
  out.ends = folder_ends(folder, config, *out.tokenizer);
  return out;
}

}  // namespace

fs::path find_model(const std::string& name) {
  if (fs::is_regular_file(name) || is_folder_model(name)) return name;
  if (fs::is_directory(name)) bad_input("the folder has no config.json", name, "give a model's folder, or a .gguf file");
  if (name.find('/') == std::string::npos) {
    if (const fs::path embedded = share_dir() / "models" / (name + ".gguf"); fs::is_regular_file(embedded)) return embedded;
    if (const auto pulled = pulled_model(name)) return *pulled;
  }
  bad_input("there is no model \"" + name + "\"", "model", "give the path of a .gguf file or of a model's folder, ingot-base, or fetch a starter with: ingot pull " + name);
}

LanguageModel open_model(const std::string& name) {
  const fs::path path = find_model(name);
  if (fs::is_directory(path)) return open_folder(path);
  LanguageModel out;
  out.path = path;
  auto file = Gguf::open(out.path);
  out.model = Llama::load(file);
  out.tokenizer = Tokenizer::from_gguf(*file);
  out.chat_template = file->text("tokenizer.chat_template", "");
  if (out.tokenizer->eos >= 0) out.ends.push_back(out.tokenizer->eos);
  for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (int64_t id = file->integer(key, -1); id >= 0 && id < out.tokenizer->size()) out.ends.push_back(static_cast<int32_t>(id));
  return out;
}

std::shared_ptr<const TextEncoder> open_encoder(const std::string& name, std::optional<Pooling> pooling) {
  const fs::path path = find_model(name);
  SentenceSettings settings;
  if (fs::is_directory(path)) {
    settings = read_sentence_settings(path);
    if (pooling) settings.pooling = *pooling;
    const HfConfig config = HfConfig::open(path / "config.json");
    if (is_bert(config)) return make_sentence_encoder(Bert::load(config, Safetensors::open(path)), Tokenizer::from_folder(path), settings);
  }
  auto language = open_model(name);
  return make_llama_encoder(language.model, language.tokenizer, language.model->fingerprint(), pooling.value_or(settings.pooling));
}

}  // namespace ingot
