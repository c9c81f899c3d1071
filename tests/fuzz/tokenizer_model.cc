// tokenizer.model, SentencePiece's protobuf; what is read must also survive a way through GGUF.
#include <cstdint>
#include <span>
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
    auto tokenizer = Tokenizer::from_sentence_piece(text, "fuzz");
    for (int round = 0; round < 2; ++round) {
      for (const char* sample : {"a text with 12 words,  <tool> and \xc3\xa9", "  \xe4\xbd\xa0\xe5\xa5\xbd\xe2\x96\x81 \xff\xf0\x9f\x98\x80 e\xcc\x81\n\n\xef\xbc\xa1<s>", ""}) {
        const auto ids = tokenizer->encode(sample);
        tokenizer->decode(ids, true);
        tokenizer->detokenize(ids);
      }
      GgufWriter writer;
      tokenizer->to_gguf(writer);
      const std::string bytes = writer.bytes();
      tokenizer = Tokenizer::from_gguf(*Gguf::parse(std::as_bytes(std::span(bytes)), "again"));
    }
  } catch (const Error&) {
  }
  return 0;
}
