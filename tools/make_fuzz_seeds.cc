// Writes the first inputs of the fuzz targets that need our own writers: make_fuzz_seeds tests/fuzz/corpus
#include <filesystem>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/random.h"
#include "formats/gguf.h"
#include "foundry/classify/text_classifier.h"
#include "foundry/triage/triage_model.h"
#include "guard/rails.h"
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
}
