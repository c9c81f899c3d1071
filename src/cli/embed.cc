#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/input_text.h"
#include "core/progress.h"
#include "runtime/open_model.h"

namespace ingot {
namespace {

struct EmbedOptions {
  std::string model, file, pooling;
  bool json = false, windows = false;
};

// One text a line; a last line without an end counts, an empty one too.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

void print_vector(const float* row, int width, int windows, const EmbedOptions& o) {
  std::string out = o.windows ? "{\"windows\":" + std::to_string(windows) + ",\"embedding\":[" : o.json ? "[" : "";
  char number[32];
  for (int i = 0; i < width; ++i) {
    std::snprintf(number, sizeof number, "%.9g", static_cast<double>(row[i]));
    out += (i ? (o.json || o.windows ? "," : " ") : "") + std::string(number);
  }
  std::puts((out + (o.windows ? "]}" : o.json ? "]" : "")).c_str());
}

void embed(const EmbedOptions& o) {
  end_on_interrupt();  // a pass over long texts takes minutes, standard input for ever
  std::optional<Pooling> pooling;
  if (o.pooling == "mean") pooling = Pooling::kMean;
  if (o.pooling == "cls") pooling = Pooling::kCls;
  if (o.pooling == "last") pooling = Pooling::kLast;
  const auto encoder = open_encoder(o.model, pooling);
  const auto texts = lines_of(input_text(o.file));
  constexpr size_t kBatch = 64;
  size_t split = 0, all = 0;
  Progress progress("embed", texts.size());
  for (size_t at = 0; at < texts.size(); at += kBatch) {
    const auto part = std::span(texts).subspan(at, std::min(kBatch, texts.size() - at));
    std::vector<int> windows;
    const auto rows = encoder->encode(part, &windows);
    for (size_t i = 0; i < part.size(); ++i) {
      print_vector(rows.data() + i * static_cast<size_t>(encoder->width()), encoder->width(), windows[i], o);
      split += windows[i] > 1;
      all += static_cast<size_t>(windows[i]);
    }
    std::fflush(stdout);  // whole lines, should the next pass be interrupted
    progress.advance(part.size());
  }
  progress.finish();
  if (split) std::fprintf(stderr, "%zu of %zu texts are longer than what is read at once; %zu windows were read in all, and pooled\n", split, texts.size(), all);
}

}  // namespace

void add_embed(CLI::App& app) {
  auto* command = app.add_subcommand("embed", "A vector for each line of a text: texts alike in meaning lie close");
  auto o = std::make_shared<EmbedOptions>();
  command->add_option("MODEL", o->model, "a sentence encoder's folder or .gguf file, a language model, or a name")->required();
  command->add_option("FILE", o->file, "a text file, one text a line; -: stdin")->required();
  command->add_option("--pooling", o->pooling, "how a text's rows become one; without it as the model says, else mean")->check(CLI::IsMember({"mean", "cls", "last"}));
  command->add_flag("--windows", o->windows, "JSON objects with embedding, and windows: in how many parts a long text was read");
  command->add_flag("--json", o->json, "one JSON array a line of input, in order");
  command->callback([o] { embed(*o); });
}

}  // namespace ingot
