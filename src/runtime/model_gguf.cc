#include "runtime/model_gguf.h"

#include <limits>

#include "core/error.h"
#include "formats/safetensors.h"
#include "models/bert/sentence_encoder.h"
#include "models/hf_config.h"
#include "models/llama/llama.h"
#include "runtime/sampling_advice.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

void write_language_model(GgufWriter& out, const std::filesystem::path& folder, const HfConfig& config, const Tokenizer& tokenizer) {
  const auto model = Llama::load(config, Safetensors::open(folder));
  model->write(out, model->layer(0).query.type, model->weights()[0]->type);
  SamplingAdvice::of_folder(folder).write(out);
  if (!tokenizer.ends.empty()) out.set("tokenizer.ggml.eos_token_id", GgufValue::u32(static_cast<uint32_t>(tokenizer.ends[0])));
}

// The writer points into the model, which is given back for it.
std::shared_ptr<const Bert> write_sentence_encoder(GgufWriter& out, const std::filesystem::path& folder, const HfConfig& config, const Tokenizer& tokenizer) {
  if (tokenizer.kind() == TokenizerKind::kUnigram)
    bad_input("GGUF cannot say how XLM-RoBERTa's tokenizer treats white space", folder.string(), "use the folder itself");
  auto model = Bert::load(config, Safetensors::open(folder));
  const SentenceSettings settings = read_sentence_settings(folder);
  model->write(out, settings.window > 0 ? settings.window : std::numeric_limits<int64_t>::max());
  write_pooling(out, settings.pooling);
  return model;
}

}  // namespace

std::shared_ptr<const Gguf> gguf_of_model(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return Gguf::open(path);
  const HfConfig config = HfConfig::open(path / "config.json");
  const auto tokenizer = Tokenizer::from_folder(path);
  auto bytes = std::make_shared<std::string>();
  {
    GgufWriter writer;
    tokenizer->to_gguf(writer);
    std::shared_ptr<const Bert> encoder;
    if (is_bert(config)) encoder = write_sentence_encoder(writer, path, config, *tokenizer);
    else write_language_model(writer, path, config, *tokenizer);
    *bytes = writer.bytes();
  }
  return Gguf::parse(std::as_bytes(std::span(*bytes)), path.string(), bytes);
}

}  // namespace ingot
