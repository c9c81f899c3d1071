#include "models/decoder_family.h"

#include <algorithm>
#include <sstream>

#include "core/error.h"

namespace ingot {
namespace {

const DecoderFamily* const kFamilies[] = {&kLlamaFamily, &kMistralFamily, &kQwen2Family, &kQwen3Family, &kGemma3Family};

bool lists(std::string_view words, std::string_view word) {
  for (size_t at = 0; at < words.size();) {
    const size_t end = std::min(words.find(' ', at), words.size());
    if (words.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

const DecoderFamily* find_family(std::string_view model_type) {
  for (const DecoderFamily* family : kFamilies)
    if (lists(family->model_types, model_type)) return family;
  return nullptr;
}

const DecoderFamily& family_of(const Gguf& file) {
  const std::string architecture = file.text("general.architecture");
  std::string known;
  for (const DecoderFamily* family : kFamilies) {
    if (family->gguf == architecture && family != &kMistralFamily) return *family;  // a Mistral says "llama" in GGUF
    if (family != &kMistralFamily) known += (known.empty() ? "" : ", ") + std::string(family->gguf);
  }
  bad_input("the architecture is \"" + architecture + "\"; those that generate text are " + known, file.name(), "use a model of one of these families; an encoder (bert) is read by ingot embed");
}

const DecoderFamily& family_of(const HfConfig& file) {
  const std::string type = file.text("model_type", "");
  if (const DecoderFamily* family = find_family(type)) return *family;
  std::string known;
  for (const DecoderFamily* family : kFamilies) {
    std::istringstream words{std::string(family->model_types)};
    for (std::string word; words >> word;) known += (known.empty() ? "" : ", ") + word;
  }
  bad_input("the model_type is \"" + type + "\"; those that generate text are " + known, file.name(), "use a model of one of these families; an encoder is read by ingot embed");
}

}  // namespace ingot
