#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "formats/importance.h"
#include "runtime/open_model.h"

namespace ingot {
namespace {

struct ImatrixOptions {
  std::string model, file, out;
  int64_t context = 512, chunks = 0;
};

void compute(const ImatrixOptions& o) {
  end_on_interrupt();
  check_output(o.out);
  auto language = open_model(o.model);
  const Llama& model = *language.model;
  MappedFile text(o.file);
  const auto ids = language.tokenizer->encode(text.text());
  const int64_t n = std::min(o.context, model.config().context);
  int64_t chunks = static_cast<int64_t>(ids.size()) / n;
  if (o.chunks > 0) chunks = std::min(chunks, o.chunks);
  if (!chunks) bad_input("the text has " + std::to_string(ids.size()) + " tokens, one chunk needs " + std::to_string(n), o.file, "give a longer text or a shorter --context");
  Importance importance;
  const std::function<void(const Weight&, const Tensor&)> observe = [&](const Weight& w, const Tensor& x) {
    std::vector<double> squares(static_cast<size_t>(x.cols), 0.0);
    for (int64_t r = 0; r < x.rows; ++r)
      for (int64_t i = 0; i < x.cols; ++i) squares[static_cast<size_t>(i)] += static_cast<double>(x.row(r)[i]) * static_cast<double>(x.row(r)[i]);
    importance.add(w.name, squares, x.rows);
  };
  Arena arena;
  Context c{default_team(), arena};
  c.observe = &observe;
  KvCache cache = model.make_cache(n, CacheType::kF16);
  Progress progress("imatrix", static_cast<uint64_t>(chunks));
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    std::vector<int32_t> part(ids.begin() + chunk * n, ids.begin() + (chunk + 1) * n), pages;
    if (language.tokenizer->add_bos) part[0] = language.tokenizer->bos;
    for (int64_t i = 0; i < n; i += 64) pages.push_back(cache.take());
    for (int64_t at = 0; at < n; at += 256) {
      const int64_t count = std::min<int64_t>(256, n - at);
      std::vector<RowPlace> places;
      for (int64_t i = 0; i < count; ++i) places.push_back({pages.data(), static_cast<int32_t>(at + i)});
      auto mark = arena.mark();
      model.cached(c, std::span(part).subspan(static_cast<size_t>(at), static_cast<size_t>(count)), places, cache);
      arena.release(mark);
    }
    for (int32_t page : pages) cache.drop(page);
    progress.advance(1);
  }
  progress.finish();
  importance.write(o.out, o.file, chunks, n);
  std::printf("%s: %zu matrices over %ld tokens\n", o.out.c_str(), importance.size(), static_cast<long>(chunks * n));
}

}  // namespace

void add_imatrix(CLI::App& app) {
  auto* command = app.add_subcommand("imatrix", "Measure on a text how much each input of each matrix matters, for: ingot quantize --imatrix");
  auto o = std::make_shared<ImatrixOptions>();
  command->add_option("MODEL", o->model, "a .gguf file, a Hugging Face folder, or a model's name")->required();
  command->add_option("FILE", o->file, "a text like what the model will be used for")->required();
  command->add_option("-o,--out", o->out, "the file to write")->required();
  command->add_option("--context", o->context, "tokens of a chunk")->check(whole(8, 1 << 20));
  command->add_option("--chunks", o->chunks, "only the first N chunks; 0: all")->check(whole(0));
  command->callback([o] { compute(*o); });
}

}  // namespace ingot
