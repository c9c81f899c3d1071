#include "runtime/open_model.h"

#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "formats/safetensors.h"
#include "models/bert/sentence_encoder.h"
#include "models/llama/llama_encoder.h"
#include "models/llama/lora.h"
#include "ops/interleave.h"
#include "runtime/model_store.h"

namespace ingot {
namespace fs = std::filesystem;
namespace {

bool is_folder_model(const fs::path& path) { return fs::is_regular_file(path / "config.json"); }

}  // namespace

fs::path find_model(const std::string& name) {
  std::optional<fs::path> known;
  if (name.find('/') == std::string::npos) {
    if (const fs::path embedded = share_dir() / "models" / (name + ".gguf"); fs::is_regular_file(embedded)) known = embedded;
    else known = pulled_model(name);
  }
  if (fs::is_regular_file(name) || is_folder_model(name)) {
    if (known) bad_input("\"" + name + "\" is a file here and a model's name, too", "model", "give the file as ./" + name + ", or the model's own path: " + known->string());
    return name;
  }
  if (known) return *known;
  if (fs::is_directory(name)) bad_input("the folder has no config.json", name, "give a model's folder, or a .gguf file");
  if (name.find('/') != std::string::npos || name.ends_with(".gguf") || name.ends_with(".ingot"))
    bad_input("there is no such file or folder", name, "give the path of a .gguf file or of a model's folder");
  bad_input("there is no model \"" + name + "\"", "model", "give the path of a .gguf file or of a model's folder, ingot-base, or fetch a starter with: ingot pull " + name);
}

namespace {

LanguageModel as_it_lies(const std::string& name) {
  LanguageModel out;
  out.path = find_model(name);
  if (fs::is_directory(out.path)) {
    out.model = Llama::load(HfConfig::open(out.path / "config.json"), Safetensors::open(out.path));
    out.tokenizer = Tokenizer::from_folder(out.path);
    out.advice = SamplingAdvice::of_folder(out.path);
  } else {
    auto file = Gguf::open(out.path);
    out.model = Llama::load(file);
    out.tokenizer = Tokenizer::from_gguf(*file);
    out.advice = SamplingAdvice::of_gguf(*file);
  }
  return out;
}

}  // namespace

LanguageModel open_model(const std::string& name) {
  LanguageModel out = as_it_lies(name);
  arrange_weights(*out.model);
  return out;
}

std::shared_ptr<const Llama> open_draft_model(const std::string& name, const Tokenizer& tokenizer) {
  const LanguageModel draft = open_model(name);
  bool same = draft.tokenizer->size() == tokenizer.size();
  for (int32_t id = 0; same && id < tokenizer.size(); ++id) same = draft.tokenizer->piece(id) == tokenizer.piece(id);
  if (!same) bad_input("the draft model has another vocabulary", name, "use a smaller model of the same family");
  return draft.model;
}

bool is_sentence_encoder(const fs::path& path) {
  return is_folder_model(path) ? is_bert(HfConfig::open(path / "config.json")) : Gguf::architecture(path) == kBertArchitecture;
}

void arrange_weights(Llama& model) {
  auto weights = model.weights();
  std::erase_if(weights, [&](const Weight* w) { return !model.config().tied && w->name == "token_embd.weight"; });  // only looked up
  if (interleave(weights, default_team())) model.release_pages();
}

namespace {

std::shared_ptr<const TextEncoder> open_encoder_in(std::optional<ElementType> type, const std::string& name, std::optional<Pooling> pooling, bool arrange = true) {
  const fs::path path = find_model(name);
  if (!is_sentence_encoder(path)) {
    const LanguageModel language = open_model(name);
    return make_llama_encoder(language.model, language.tokenizer, language.model->fingerprint(), pooling ? *pooling : pooling_of(language));
  }
  SentenceSettings settings;
  std::shared_ptr<Bert> bert;
  std::shared_ptr<const Tokenizer> tokenizer;
  if (fs::is_directory(path)) {
    settings = read_sentence_settings(path);
    bert = Bert::load(HfConfig::open(path / "config.json"), Safetensors::open(path));
    tokenizer = Tokenizer::from_folder(path);
  } else {
    const auto file = Gguf::open(path);
    settings = read_sentence_settings(*file);
    bert = Bert::load(file);
    tokenizer = Tokenizer::from_gguf(*file);
  }
  if (pooling) settings.pooling = *pooling;
  if (type) bert->quantise(*type);
  if (arrange && interleave(bert->matrices(), default_team())) bert->release_pages();
  return make_sentence_encoder(std::move(bert), std::move(tokenizer), settings);
}

}  // namespace

Pooling pooling_of(const LanguageModel& model) {
  if (fs::is_directory(model.path)) return read_sentence_settings(model.path).pooling;
  return model.model->file() ? read_sentence_settings(*model.model->file()).pooling : Pooling::kMean;
}

void check_model(const std::string& name, const fs::path& adapter) {
  const fs::path path = find_model(name);
  if (is_sentence_encoder(path)) {
    open_encoder_in({}, name, {}, false);
    return;
  }
  const LanguageModel language = as_it_lies(name);
  pooling_of(language);
  if (!adapter.empty()) LoraAdapter::open(adapter, *language.model);
}

std::shared_ptr<const TextEncoder> open_encoder(const std::string& name, std::optional<Pooling> pooling) { return open_encoder_in({}, name, pooling); }
std::shared_ptr<const TextEncoder> open_rail_encoder(const std::string& name) { return open_encoder_in(ElementType::kQ8_0, name, {}); }

}  // namespace ingot
