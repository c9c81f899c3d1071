// The small files beside a tokenizer, one behind the other with a line "-----" between them; a sixth is tokenizer.model itself, in the
// place of a fixed tokenizer.json.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/progress.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  namespace fs = std::filesystem;
  set_progress_style(ProgressStyle::silent);
  static const std::string fixed = [] {
    const std::vector<std::string_view> texts{"the cat sat on the mat, the cat ran"};
    const std::vector<std::string> specials{"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    return train_tokenizer(texts, 265, PreTokenizer::kSmolLm, specials)->to_json();
  }();
  static const fs::path folder = [] {
    const fs::path made = fs::temp_directory_path() / ("fuzz-tokenizer-" + std::to_string(::getpid()));
    fs::create_directories(made);
    return made;
  }();
  const auto put = [](const char* name, std::string_view bytes) { std::ofstream(folder / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size())); };
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  bool own = false;
  for (const char* name : {"tokenizer_config.json", "added_tokens.json", "special_tokens_map.json", "generation_config.json", "chat_template.json", "tokenizer.model"}) {
    constexpr std::string_view kMark = "\n-----\n";
    own = name == std::string_view("tokenizer.model");
    const size_t end = own ? rest.size() : std::min(rest.find(kMark), rest.size());
    const std::string_view bytes = rest.substr(0, end);
    rest.remove_prefix(std::min(end + (own ? 0 : kMark.size()), rest.size()));
    fs::remove(folder / name);
    if (!bytes.empty()) put(name, bytes);
    own = own && !bytes.empty();
  }
  if (own) fs::remove(folder / "tokenizer.json");
  else if (!fs::exists(folder / "tokenizer.json")) put("tokenizer.json", fixed);
  try {
    const auto tokenizer = Tokenizer::from_folder(folder);
    for (const char* sample : {"a cat with 12 words, <|im_start|> and \xc3\xa9<tool>", " <s> [MASK]\xf0\x9f\x98\x80", ""}) {
      const auto ids = tokenizer->encode(sample);
      tokenizer->decode(ids, true);
      tokenizer->detokenize(ids);
    }
    for (int32_t id : tokenizer->ends) tokenizer->piece(id);
    GgufWriter writer;
    tokenizer->to_gguf(writer);
    tokenizer->to_json();
  } catch (const Error&) {
  }
  return 0;
}
