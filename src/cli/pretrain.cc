#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "kernels/machine_limits.h"
#include "text/tokenizer.h"
#include "train/pretrain.h"

namespace ingot {
namespace {

struct PretrainOptions {
  std::vector<std::string> files;
  std::string tokenizer, out = "model.gguf", checkpoint, heldout, type = "Q8_0";
  int64_t layers = 6, width = 256, heads = 4, groups = 2, hidden = 704, context = 512, save_every = 100;
  TrainingPlan plan;
  bool json = false;
};

// Documents are divided by a form feed; each ends with the end token.
std::vector<uint16_t> tokens_of(const std::string& path, const Tokenizer& tokenizer) {
  MappedFile file(path);
  std::string_view text = file.text();
  std::vector<uint16_t> tokens;
  Progress progress("tokenize " + std::filesystem::path(path).filename().string(), text.size());
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\f', at), text.size());
    for (int32_t id : tokenizer.encode(text.substr(at, end - at), false, false)) tokens.push_back(static_cast<uint16_t>(id));
    tokens.push_back(static_cast<uint16_t>(tokenizer.eos));
    progress.advance(end - at + 1);
    at = end + 1;
    if (interrupted()) throw Error(ErrorKind::interrupted, "stopped", "tokenize", "run the same command again");
  }
  progress.finish(std::to_string(tokens.size()) + " tokens");
  return tokens;
}

void write_model(const Llama& model, const Tokenizer& tokenizer, const PretrainOptions& o) {
  GgufWriter out;
  ElementType type = element_type_of_name(o.type).value_or(ElementType::kQ8_0);
  out.set("general.name", GgufValue::text(std::filesystem::path(o.out).stem().string()));
  model.write(out, type, type);
  tokenizer.to_gguf(out);
  out.write(o.out);
}

void pretrain(const PretrainOptions& o) {
  if (!element_type_of_name(o.type)) throw Error(ErrorKind::usage, "\"" + o.type + "\" is no element type", "--type", "use F32, F16, BF16, Q8_0, ...");
  auto tokenizer = Tokenizer::from_json(read_file(o.tokenizer), o.tokenizer);
  if (tokenizer->size() > 65536) bad_input("the vocabulary has more than 65,536 tokens", o.tokenizer, "train a smaller one: ingot tokenizer train --vocab 8192");
  auto mutable_tokenizer = std::const_pointer_cast<Tokenizer>(tokenizer);
  if (tokenizer->eos < 0) mutable_tokenizer->eos = tokenizer->find("<|endoftext|>");
  if (tokenizer->eos < 0) bad_input("the tokenizer has no end token", o.tokenizer, "train it with: ingot tokenizer train --special '<|endoftext|>'");
  std::vector<uint16_t> tokens;
  for (const auto& path : o.files) {
    auto more = tokens_of(path, *tokenizer);
    tokens.insert(tokens.end(), more.begin(), more.end());
  }
  LlamaConfig c;
  c.vocab = tokenizer->size(), c.width = o.width, c.layers = o.layers, c.heads = o.heads, c.groups = o.groups, c.hidden = o.hidden;
  if (c.width % c.heads || c.heads % c.groups || c.width / c.heads % 16)
    throw Error(ErrorKind::usage, "width, heads and groups do not fit", "", "heads must divide the width into parts that are multiples of 16; groups must divide heads");
  c.head_size = c.rope_dims = c.width / c.heads;
  c.context = o.context;
  ThreadTeam& team = default_team();
  auto model = Llama::random(c, o.plan.seed);
  Trainer trainer(model, o.plan, tokens, team);
  if (!o.checkpoint.empty() && std::filesystem::exists(o.checkpoint)) {
    trainer.resume(o.checkpoint);
    std::fprintf(stderr, "resumed at step %ld of %ld\n", static_cast<long>(trainer.steps_taken()), static_cast<long>(o.plan.steps));
  }
  const double step_tokens = static_cast<double>(o.plan.length * o.plan.batch * o.plan.accumulate);
  auto limits = measure_machine(team);
  Progress progress("pretrain " + std::to_string(c.parameters()) + " parameters", static_cast<uint64_t>(o.plan.steps));
  progress.advance(static_cast<uint64_t>(trainer.steps_taken()));
  double seconds = 0, smooth = 0, steps = 0;
  while (trainer.steps_taken() < o.plan.steps) {
    auto start = std::chrono::steady_clock::now();
    double loss = trainer.step();
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ++steps;
    if (!std::isfinite(loss)) throw Error(ErrorKind::internal, "the loss is not finite", "step " + std::to_string(trainer.steps_taken()), "lower --rate");
    smooth = smooth == 0 ? loss : 0.98 * smooth + 0.02 * loss;
    char note[120];
    std::snprintf(note, sizeof note, "loss %.4f  norm %.2f  %.0f tok/s", smooth, trainer.last_norm(), steps * step_tokens / seconds);
    progress.advance(1, note);
    bool stop = interrupted();
    if (!o.checkpoint.empty() && (stop || trainer.steps_taken() % o.save_every == 0 || trainer.steps_taken() == o.plan.steps)) {
      trainer.save(o.checkpoint);
      write_model(*model, *tokenizer, o);
    }
    if (stop)
      throw Error(ErrorKind::interrupted, "stopped at step " + std::to_string(trainer.steps_taken()), "pretrain",
                  o.checkpoint.empty() ? "nothing was kept: give --checkpoint FILE next time" : "run the same command again to go on");
  }
  progress.finish();
  write_model(*model, *tokenizer, o);
  nlohmann::json result = {{"parameters", c.parameters()}, {"tokens_seen", static_cast<double>(o.plan.steps) * step_tokens}, {"loss", smooth}};
  if (steps > 0) {
    double rate = steps * step_tokens / seconds, gflop = rate * c.training_flops(o.plan.length) / 1e9;
    result["tokens_per_s"] = rate;
    result["gflop_s"] = gflop;
    result["share_of_peak"] = gflop / (o.plan.bf16 ? limits.bf16_gflop_s : limits.f32_gflop_s);
  }
  if (!o.heldout.empty()) {
    auto held = tokens_of(o.heldout, *tokenizer);
    double nats = mean_loss(*model, held, o.context, team);
    result["heldout_bits_per_byte"] = nats * static_cast<double>(held.size()) / std::log(2.0) / static_cast<double>(std::filesystem::file_size(o.heldout));
  }
  std::printf("%s\n", result.dump(o.json ? -1 : 2).c_str());
}

}  // namespace

void add_pretrain(CLI::App& app) {
  auto* command = app.add_subcommand("pretrain", "Train a small Llama from text; resumes from its checkpoint");
  auto o = std::make_shared<PretrainOptions>();
  command->add_option("FILES", o->files, "UTF-8 text; documents divided by form feeds")->required();
  command->add_option("--tokenizer", o->tokenizer, "tokenizer.json (ingot tokenizer train)")->required();
  command->add_option("-o,--output", o->out, "the GGUF to write");
  command->add_option("--checkpoint", o->checkpoint, "state to resume from and to save to");
  command->add_option("--save-every", o->save_every, "steps between checkpoints")->check(whole(1));
  command->add_option("--heldout", o->heldout, "text to measure bits per byte on");
  command->add_option("--type", o->type, "element type of the written matrices");
  command->add_option("--layers", o->layers, "blocks")->check(whole(1, 200));
  command->add_option("--width", o->width, "size of a hidden state")->check(whole(16, 16384));
  command->add_option("--heads", o->heads, "attention heads")->check(whole(1, 256));
  command->add_option("--groups", o->groups, "key/value heads")->check(whole(1, 256));
  command->add_option("--hidden", o->hidden, "size of the feed-forward layer")->check(whole(16, 65536));
  command->add_option("--context", o->context, "longest context stated in the file")->check(whole(16, 1 << 20));
  command->add_option("--length", o->plan.length, "tokens of a training sequence")->check(whole(8, 65536));
  command->add_option("--batch", o->plan.batch, "sequences of a micro-step")->check(whole(1, 65536));
  command->add_option("--accumulate", o->plan.accumulate, "micro-steps of a step")->check(whole(1, 65536));
  command->add_option("--steps", o->plan.steps, "optimiser steps")->check(whole(0));
  command->add_option("--warmup", o->plan.warmup, "steps of linear warm-up")->check(whole(0));
  command->add_option("--rate", o->plan.rate, "peak learning rate")->check(above(0));
  command->add_option("--decay", o->plan.decay, "weight decay of matrices")->check(at_least(0));
  command->add_option("--clip", o->plan.clip, "largest gradient norm")->check(above(0));
  command->add_option("--seed", o->plan.seed, "of weights and order");
  command->add_flag("--bf16", o->plan.bf16, "products in bf16 with f32 weights and sums");
  command->add_flag("--json", o->json, "one JSON object");
  command->callback([o] { pretrain(*o); });
}

}  // namespace ingot
