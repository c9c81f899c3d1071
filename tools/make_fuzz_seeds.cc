// Writes the first inputs of the fuzz targets that need our own writers: make_fuzz_seeds tests/fuzz/corpus
#include <filesystem>
#include <string>
#include <vector>

#include "core/blob.h"
#include "core/files.h"
#include "core/random.h"
#include "formats/gguf.h"
#include "foundry/classify/text_classifier.h"
#include "foundry/triage/triage_model.h"
#include "guard/rails.h"
#include "models/bert/bert.h"
#include "models/llama/llama.h"
#include "text/tokenizer.h"

using namespace ingot;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path corpus = argv[1];
  const auto seed = [&](const std::string& target, const std::string& name, std::string_view bytes) {
    std::filesystem::create_directories(corpus / target);
    write_file(corpus / target / name, bytes);
  };
  Random random(1);
  std::vector<Record> records;
  std::vector<std::string> texts, labels;
  for (int i = 0; i < 60; ++i) {
    const std::string who = std::to_string(random.below(3));
    Record record;
    record.id = std::to_string(i), record.engineer = "p" + who, record.component = "c" + who, record.time = i;
    for (int w = 0; w < 3; ++w) record.text += "w" + who + std::to_string(random.below(3)) + "x ";
    records.push_back(record);
    texts.push_back(record.text), labels.push_back(who);
  }
  seed("triage_model", "small.bin", TriageModel::train(records, {}).save());
  seed("text_classifier", "small.bin", TextClassifier::train(texts, labels, nullptr, 1).save());
  RailSettings settings;
  settings.private_data = RailMode::block, settings.words = {"secret[0-9]+"}, settings.longest = 100, settings.purpose = "bugs";
  seed("text_classifier", "rails.bin", Rails(settings, {}).save());

  const std::vector<std::string_view> corpus_text{"the cat sat on the mat, the cat ran", "a bat and a rat and a cat 12 34"};
  const std::vector<std::string> specials{"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  const auto tokenizer = train_tokenizer(corpus_text, 275, PreTokenizer::kSmolLm, specials);
  seed("tokenizer_json", "small.json", tokenizer->to_json());
  GgufWriter writer;
  writer.set("general.architecture", GgufValue::text("llama"));
  writer.set("llama.block_count", GgufValue::u32(1));
  tokenizer->to_gguf(writer);
  writer.add("a.weight", {2, 32}, ElementType::kF32, std::string(256, '\1'));
  seed("gguf", "small.gguf", writer.bytes());
  GgufWriter bare;
  bare.set("general.name", GgufValue::text("x"));
  bare.set("a.list", GgufValue::i32s({1, 2, 3}));
  bare.add("b", {3}, ElementType::kF32, std::string(12, '\0'));
  seed("gguf", "bare.gguf", bare.bytes());

  const auto model = [](const char* architecture, int64_t width, ElementType type, bool bias, bool gemma) {
    LlamaConfig c;
    c.architecture = architecture, c.vocab = 5, c.width = c.hidden = width, c.layers = 1, c.heads = 2, c.groups = 1, c.head_size = c.rope_dims = width / 2, c.context = 64;
    c.attention_bias = bias, c.head_norms = c.block_norms = gemma;
    if (gemma) c.window = 4, c.local = {true}, c.local_rope_base = 10000, c.logit_cap = 30;
    GgufWriter out;
    Llama::random(c, 1)->write(out, type, type);
    return out.bytes();
  };
  seed("gguf", "llama.gguf", model("llama", 8, ElementType::kF32, false, false));
  seed("gguf", "qwen2.gguf", model("qwen2", 32, ElementType::kQ4_0, true, false));
  seed("gguf", "gemma3.gguf", model("gemma3", 8, ElementType::kF16, false, true));
  GgufWriter encoder;
  encoder.set("general.architecture", GgufValue::text("bert"));
  for (const auto& [key, value] : {std::pair{"bert.embedding_length", 4u}, {"bert.block_count", 1u}, {"bert.attention.head_count", 2u}, {"bert.feed_forward_length", 4u},
                                   {"bert.context_length", 3u}, {"bert.pooling_type", 1u}})
    encoder.set(key, GgufValue::u32(value));
  encoder.set("tokenizer.ggml.model", GgufValue::text("bert"));
  encoder.set("tokenizer.ggml.tokens", GgufValue::texts({"[UNK]", "[CLS]", "[SEP]", "\xe2\x96\x81" "a", "b"}));
  const auto ones = [&](const std::string& name, const std::vector<int64_t>& shape) {
    const int64_t count = shape.size() == 1 ? shape[0] : shape[0] * shape[1];
    encoder.add(name, shape, ElementType::kF32, std::string(static_cast<size_t>(count) * sizeof(float), '\1'));
  };
  ones("token_embd.weight", {5, 4});
  ones("position_embd.weight", {3, 4});
  ones("token_embd_norm.weight", {4});
  ones("token_embd_norm.bias", {4});
  for (const BertPart& part : bert_parts({.width = 4, .hidden = 4})) {
    ones(std::string("blk.0.") + part.gguf + ".weight", part.shape);
    ones(std::string("blk.0.") + part.gguf + ".bias", {part.shape[0]});
  }
  seed("gguf", "bert.gguf", encoder.bytes());
  std::string parts;
  for (uint32_t i = 0; i < 2; ++i) {
    GgufWriter part;
    if (i == 0) part.set("general.name", GgufValue::text("x"));
    part.set("split.no", GgufValue::u32(i));
    part.set("split.count", GgufValue::u32(2));
    part.set("split.tensors.count", GgufValue::u32(2));
    part.add(std::string(1, static_cast<char>('a' + i)), {3}, ElementType::kF32, std::string(12, '\1'));
    parts += "=====\n" + part.bytes();
  }
  seed("gguf_parts", "two", parts);
  const auto adapter = [](std::initializer_list<const char*> names) {
    GgufWriter out;
    out.set("general.type", GgufValue::text("adapter"));
    out.set("general.architecture", GgufValue::text("llama"));
    out.set("adapter.type", GgufValue::text("lora"));
    out.set("adapter.lora.alpha", GgufValue::f32(4));
    int64_t rank = 1;
    for (const char* name : names) {
      rank *= 2;
      out.add(std::string(name) + ".lora_a", {rank, 16}, ElementType::kF32, std::string(static_cast<size_t>(rank) * 64, '\1'));
      out.add(std::string(name) + ".lora_b", {16, rank}, ElementType::kF16, std::string(static_cast<size_t>(rank) * 32, '\1'));
    }
    return out.bytes();
  };
  seed("adapter", "gguf", adapter({"blk.0.attn_q.weight", "blk.0.ffn_up.weight"}));
  seed("adapter", "gguf_twice", adapter({"blk.0.attn_q.weight", "blk.00.attn_q.weight"}));
  BlobWriter words;
  words.put(uint32_t{1});
  words.put(uint32_t{2});
  words.put(std::vector<std::string>{"text", "w", "##ords", "a"});
  words.put(std::vector<float>{1, 0.5f, 2, 1});
  words.put(std::vector<int8_t>{1, -1, 2, 3, 127, -128, 0, 4});
  seed("word_vectors", "small.bin", words.take());
}
