// GGUF metadata and tensor tables, and what a GGUF may hold: a tokenizer, a model.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include "formats/gguf.h"
#include "models/bert/bert.h"
#include "models/llama/llama.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  static ThreadTeam team(1);
  static Arena arena;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::shared_ptr<const Gguf> gguf;
  try {
    gguf = Gguf::parse(std::as_bytes(std::span(text)), "fuzz");
  } catch (const Error&) {
    return 0;
  }
  for (const GgufTensor& tensor : gguf->tensors()) {
    const std::string_view held(reinterpret_cast<const char*>(tensor.data), tensor.bytes);
    if (!held.empty() && held.front() == 1 && held.back() == 2) continue;  // both ends are readable
    tensor.elements();
  }
  try {
    const auto tokenizer = Tokenizer::from_gguf(*gguf);
    tokenizer->decode(tokenizer->encode("a text with 12 words, <|im_start|> and \xc3\xa9"));
  } catch (const Error&) {
  }
  try {
    const auto model = Llama::load(gguf);
    GgufWriter writer;
    model->write(writer, ElementType::kF16, ElementType::kF32);
    arena.release({});
    const Context c{team, arena};
    KvCache cache = model->make_cache(64, CacheType::kF16);
    const int32_t page = cache.take();
    const std::array<RowPlace, 2> places{RowPlace{&page, 0}, {&page, 1}};
    const std::array<int32_t, 2> ids{0, static_cast<int32_t>(model->config().vocab - 1)};
    model->logits(c, model->cached(c, ids, places, cache));
  } catch (const Error&) {
  }
  try {
    const auto encoder = Bert::load(gguf);
    GgufWriter writer;
    encoder->write(writer, 8);
    arena.release({});
    const std::array<int32_t, 2> ids{0, static_cast<int32_t>(encoder->config().vocab - 1)};
    const std::array<int32_t, 1> lengths{2};
    encoder->hidden({team, arena}, ids, lengths);
  } catch (const Error&) {
  }
  return 0;
}
