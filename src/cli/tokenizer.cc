#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/input_text.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "runtime/open_model.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

// A path as it is, else what a model's name stands for.
std::shared_ptr<const Tokenizer> tokenizer_of(const std::string& model) {
  return Tokenizer::open(std::filesystem::exists(model) ? std::filesystem::path(model) : find_model(model));
}

}  // namespace

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
    bool no_special = false, stats = false;
  };
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "a .gguf, a Hugging Face folder, a model's name, a tokenizer.json or tokenizer.model")->required();
  command->add_option("FILE", o->file, "a text file; -: stdin")->required();
  command->add_flag("--no-special", o->no_special, "leave out what the model wants around a text");
  command->add_flag("--stats", o->stats, "print bytes, tokens and the processor's seconds instead");
  command->callback([o] {
    end_on_interrupt();
    auto tokenizer = tokenizer_of(o->model);
    const std::string text = input_text(o->file);
    const std::clock_t start = std::clock();
    const auto ids = tokenizer->encode(text, true, !o->no_special);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    if (o->stats) {
      std::printf("{\"bytes\": %zu, \"tokens\": %zu, \"seconds\": %.6f}\n", text.size(), ids.size(), seconds);
      return;
    }
    std::string lines;
    for (int32_t id : ids) {
      char digits[16];
      const auto end = std::to_chars(digits, digits + sizeof digits, id).ptr;
      lines.append(digits, end) += '\n';
    }
    std::fwrite(lines.data(), 1, lines.size(), stdout);
  });
}

void add_detokenize(CLI::App& app) {
  auto* command = app.add_subcommand("detokenize", "Print the text of token ids");
  struct Options {
    std::string model, file;
    bool special = false;
  };
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "a .gguf, a Hugging Face folder, a model's name, a tokenizer.json or tokenizer.model")->required();
  command->add_option("FILE", o->file, "ids divided by white space, as tokenize prints them; -: stdin")->required();
  command->add_flag("--special", o->special, "show special tokens too");
  command->callback([o] {
    end_on_interrupt();
    auto tokenizer = tokenizer_of(o->model);
    const std::string given = input_text(o->file);
    std::string_view rest = given;
    std::vector<int32_t> ids;
    for (;;) {
      rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
      if (rest.empty()) break;
      int32_t id = -1;
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), id);
      const auto used = static_cast<size_t>(end - rest.data());
      if (error != std::errc() || id < 0 || id >= tokenizer->size())
        bad_input("\"" + std::string(rest.substr(0, 20)) + "\" begins no id below " + std::to_string(tokenizer->size()), o->file, "give ids as ingot tokenize prints them");
      ids.push_back(id);
      rest.remove_prefix(used);
    }
    const std::string text = tokenizer->detokenize(ids, o->special);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

}  // namespace ingot
