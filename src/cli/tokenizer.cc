#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "core/files.h"
#include "text/tokenizer.h"

namespace ingot {

void add_tokenizer(CLI::App& app) {
  auto* group = app.add_subcommand("tokenizer", "Train a tokenizer");
  group->require_subcommand(1);
  auto* train = group->add_subcommand("train", "Train a byte-level BPE tokenizer on text files");
  struct Options {
    std::vector<std::string> files, specials{"<|endoftext|>"};
    std::string out = "tokenizer.json";
    int32_t vocab = 8192;
  };
  auto o = std::make_shared<Options>();
  train->add_option("FILES", o->files, "UTF-8 text files")->required();
  train->add_option("-o,--output", o->out, "where to write tokenizer.json");
  train->add_option("--vocab", o->vocab, "tokens, bytes and special ones included");
  train->add_option("--special", o->specials, "special tokens; the first ends a text");
  train->callback([o] {
    std::vector<MappedFile> files;
    std::vector<std::string_view> texts;
    for (const auto& path : o->files) texts.push_back(files.emplace_back(path).text());
    auto tokenizer = train_tokenizer(texts, o->vocab, PreTokenizer::kSmolLm, o->specials);
    write_file(o->out, tokenizer->to_json());
    if (tokenizer->size() < o->vocab) std::fprintf(stderr, "the text yields only %d tokens\n", tokenizer->size());
  });
}

void add_tokenize(CLI::App& app) {
  auto* command = app.add_subcommand("tokenize", "Print a file's token ids, one a line");
  struct Options {
    std::string model, file;
    bool no_special = false;
  };
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "a .gguf or tokenizer.json")->required();
  command->add_option("FILE", o->file, "a text file")->required();
  command->add_flag("--no-special", o->no_special, "leave added tokens out");
  command->callback([o] {
    auto tokenizer = o->model.ends_with(".json") ? Tokenizer::from_json(read_file(o->model), o->model) : Tokenizer::from_gguf(*Gguf::open(o->model));
    MappedFile file(o->file);
    for (int32_t id : tokenizer->encode(file.text(), true, !o->no_special)) std::printf("%d\n", id);
  });
}

}  // namespace ingot
