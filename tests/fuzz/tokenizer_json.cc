// tokenizer.json as Hugging Face writes it.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = Tokenizer::from_json(text, "fuzz");
    for (const char* sample : {"a text with 12 words, <|im_start|> and \xc3\xa9", "  \xe4\xbd\xa0\xe5\xa5\xbd\xe2\x96\x81 \xff\xf0\x9f\x98\x80 e\xcc\x81 I'LL\r\n [UNK]<s>", ""}) {
      const auto ids = tokenizer->encode(sample);
      tokenizer->decode(ids, true);
      tokenizer->detokenize(ids);
      tokenizer->encode(sample, false, false);
    }
    GgufWriter writer;
    tokenizer->to_gguf(writer);
    Tokenizer::from_json(tokenizer->to_json(), "again");
  } catch (const Error&) {
  }
  return 0;
}
