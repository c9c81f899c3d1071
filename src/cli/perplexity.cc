#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/engine_options.h"
#include "cli/number_range.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "models/llama/lora.h"
#include "runtime/open_model.h"

namespace ingot {

void add_perplexity(CLI::App& app) {
  auto* command = app.add_subcommand("perplexity", "How well a language model predicts a text (llama.cpp's method)");
  struct Options {
    std::string model, file, adapter;
    CacheType cache = CacheType::kF16;
    int64_t context = 512, chunks = 0;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "a .gguf file, ingot-base, or a pulled model's name")->required();
  command->add_option("FILE", o->file, "a text file")->required();
  command->add_option("--context", o->context, "tokens of a chunk; the second half of each is scored")->check(whole(8, 1 << 20));
  command->add_option("--chunks", o->chunks, "only the first N chunks; 0: all")->check(whole(0));
  add_cache_option(*command, o->cache, "--kv,--cache");
  command->add_option("--adapter", o->adapter, "a LoRA adapter: PEFT's folder, or a GGUF file")->check(CLI::ExistingPath);
  command->add_flag("--json", o->json, "one JSON object: perplexity, tokens");
  command->callback([o] {
    end_on_interrupt();
    auto language = open_model(o->model);
    const Llama& model = *language.model;
    MappedFile file(o->file);
    auto ids = language.tokenizer->encode(file.text());
    const int64_t n = o->context;
    if (n > model.config().context)
      bad_input("the chunk has " + std::to_string(n) + " tokens, the model's context " + std::to_string(model.config().context), "--context", "give a shorter one");
    int64_t chunks = static_cast<int64_t>(ids.size()) / n;
    if (o->chunks > 0) chunks = std::min(chunks, o->chunks);
    if (!chunks) bad_input("the text has " + std::to_string(ids.size()) + " tokens, one chunk needs " + std::to_string(n), o->file, "give a longer text or a shorter --context");
    const auto adapter = o->adapter.empty() ? nullptr : LoraAdapter::open(o->adapter, model);
    Arena arena;
    Context c{default_team(), arena};
    KvCache cache = model.make_cache(n, o->cache);
    double nats = 0, square = 0;
    int64_t scored = 0;
    Progress progress("perplexity", static_cast<uint64_t>(chunks));
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      std::vector<int32_t> part(ids.begin() + chunk * n, ids.begin() + (chunk + 1) * n), pages;
      if (language.tokenizer->add_bos) part[0] = language.tokenizer->bos;
      for (int64_t i = 0; i < n; i += 64) pages.push_back(cache.take());
      for (int64_t at = 0; at < n; at += 256) {
        int64_t count = std::min<int64_t>(256, n - at);
        std::vector<RowPlace> places;
        for (int64_t i = 0; i < count; ++i) places.push_back({pages.data(), static_cast<int32_t>(at + i)});
        auto mark = arena.mark();
        const AdapterRows adapted{adapter.get(), 0, count};
        Tensor hidden = model.cached(c, std::span(part).subspan(static_cast<size_t>(at), static_cast<size_t>(count)), places, cache,
                                     adapter ? std::span(&adapted, 1) : std::span<const AdapterRows>());
        int64_t from = std::max(at, n / 2), to = std::min(at + count, n - 1);  // rows whose next token is scored
        if (from < to) {
          Tensor rows{hidden.row(from - at), nullptr, to - from, hidden.cols};
          const AdapterRows head{adapter.get(), 0, rows.rows};
          Tensor logits = model.logits(c, rows, adapter ? std::span(&head, 1) : std::span<const AdapterRows>());
          for (int64_t r = 0; r < logits.rows; ++r) {
            const float* row = logits.row(r);
            double top = *std::max_element(row, row + logits.cols), sum = 0;
            for (int64_t j = 0; j < logits.cols; ++j) sum += std::exp(row[j] - top);
            double loss = top + std::log(sum) - row[part[static_cast<size_t>(from + r + 1)]];
            nats += loss;
            square += loss * loss;
            ++scored;
          }
        }
        arena.release(mark);
      }
      for (int32_t page : pages) cache.drop(page);
      char note[40];
      std::snprintf(note, sizeof note, "%.4f", std::exp(nats / static_cast<double>(scored)));
      progress.advance(1, note);
    }
    progress.finish();
    double mean = nats / static_cast<double>(scored), perplexity = std::exp(mean);
    double error = perplexity * std::sqrt(std::max(0.0, square / static_cast<double>(scored) - mean * mean) / static_cast<double>(scored));
    if (o->json) std::printf("%s\n", nlohmann::json{{"perplexity", perplexity}, {"error", error}, {"tokens", scored}, {"chunks", chunks}}.dump().c_str());
    else std::printf("perplexity %.4f +- %.4f over %ld tokens\n", perplexity, error, static_cast<long>(scored));
  });
}

}  // namespace ingot
