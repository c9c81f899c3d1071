#include "models/model_gguf.h"

#include "formats/safetensors.h"
#include "models/hf_config.h"
#include "models/llama/llama.h"
#include "text/tokenizer.h"

namespace ingot {

std::shared_ptr<const Gguf> gguf_of_model(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return Gguf::open(path);
  const auto model = Llama::load(HfConfig::open(path / "config.json"), Safetensors::open(path));
  const auto tokenizer = Tokenizer::from_folder(path);
  auto bytes = std::make_shared<std::string>();
  {
    GgufWriter writer;
    model->write(writer, model->layer(0).query.type, model->weights()[0]->type);
    tokenizer->to_gguf(writer);
    if (!tokenizer->ends.empty()) writer.set("tokenizer.ggml.eos_token_id", GgufValue::u32(static_cast<uint32_t>(tokenizer->ends[0])));
    *bytes = writer.bytes();
  }
  return Gguf::parse(std::as_bytes(std::span(*bytes)), path.string(), bytes);
}

}  // namespace ingot
