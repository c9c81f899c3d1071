#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "foundry/chat/chat_data.h"
#include "foundry/chat/tuning_run.h"
#include "kernels/cpu/float_kernels.h"
#include "runtime/open_model.h"
#include "train/lora.h"
#include "train/tuner.h"

namespace ingot {
namespace {

struct TuneOptions {
  std::string model, data, map, out, system, checkpoint, from, too_long = "refuse", targets, type = "F32", precision = "auto";
  LoraPlan lora;
  TuningPlan plan;
  double epochs = 3;
  int64_t steps = 0, longest = 0, save_every = 0;
  bool full = false, json = false;
};

void write_full(const Llama& model, const LanguageModel& base, const TuneOptions& o) {
  GgufWriter out;
  const ElementType type = *element_type_of_name(o.type);
  out.set("general.name", GgufValue::text(std::filesystem::path(o.out).stem().string()));
  model.write(out, type, type);
  base.tokenizer->to_gguf(out);
  base.advice.write(out);
  out.write(o.out);
}

void tune(TuneOptions o) {
  if (!element_type_of_name(o.type)) throw Error(ErrorKind::usage, "\"" + o.type + "\" is no element type", "--type", "use F32, F16, BF16, Q8_0, ...");
  auto language = open_model(o.model);
  if (language.model->config().logit_cap > 0) bad_input("the model caps its logits, which training does not know", o.model, "choose another base");
  const ChatPrompt prompt(language.tokenizer);
  ChatData data = read_chat(o.data, o.map, o.system);
  drop_repeated(data);
  const int64_t context = language.model->config().context;
  const int64_t longest = o.longest > 0 ? std::min(o.longest, context) : std::min<int64_t>(1024, context);
  ChatSamples samples = chat_samples(prompt, data.conversations, longest, o.too_long == "window" ? TooLong::kWindow : TooLong::kRefuse);
  for (const std::string& note : data.notes) fmt::print(stderr, "{}\n", note);
  for (const auto& [reason, which] : samples.refused) fmt::print(stderr, "{}\n", refusal_line(reason, which, data.conversations));
  if (samples.windowed) fmt::print(stderr, "{} conversations are longer than {} tokens and became {} windows\n", samples.windowed, longest, samples.windows);
  if (samples.samples.empty()) bad_input("there is no conversation to learn from", o.data, "see the reasons above");
  std::shared_ptr<Lora> lora;
  std::shared_ptr<Llama> model;
  std::vector<Weight*> weights;
  if (o.full) {
    model = Llama::trainable(*language.model);
    weights = model->weights();
  } else {
    if (!o.targets.empty()) {
      o.lora.targets.clear();
      for (size_t at = 0; at <= o.targets.size();) {
        const size_t end = std::min(o.targets.find(',', at), o.targets.size());
        o.lora.targets.push_back(o.targets.substr(at, end - at));
        at = end + 1;
      }
    }
    o.lora.seed = o.plan.training.seed;
    lora = o.from.empty() ? Lora::create(*language.model, o.lora) : Lora::read(*language.model, o.from);
    model = lora->model();
    weights = lora->weights();
  }
  int64_t parameters = 0;
  for (const Weight* w : weights) parameters += w->size();
  TrainingPlan& plan = o.plan.training;
  plan.bf16 = o.precision == "bf16" || (o.precision == "auto" && cpu::bf16_kernels());
  plan.steps = o.steps > 0 ? o.steps : steps_for(samples.samples.size(), o.epochs, plan.batch);
  plan.warmup = std::min(plan.warmup, std::max<int64_t>(1, plan.steps / 10));
  const std::string base_hash = language.model->fingerprint();
  std::string identity = base_hash;
  if (lora) {  // the adapter as it begins
    const std::string begun = lora->safetensors();
    identity += hex(sha256(begun)) + lora->config_json(o.model);
  }
  Tuner tuner(model, weights, samples.samples, o.plan, identity, default_team());
  if (o.checkpoint.empty()) o.checkpoint = (o.full ? std::filesystem::path(o.out + ".state") : std::filesystem::path(o.out) / "training.state").string();
  if (std::filesystem::path(o.checkpoint).has_parent_path()) std::filesystem::create_directories(std::filesystem::path(o.checkpoint).parent_path());
  const TuningRun run = run_tuning(tuner, plan.steps, o.checkpoint, o.save_every, fmt::format("tune {} parameters on {} samples", parameters, samples.samples.size()), "tune");
  if (run.resumed_at) fmt::print(stderr, "resumed at step {} of {}\n", run.resumed_at, plan.steps);
  if (o.full) write_full(*model, language, o);
  else lora->write(o.out, o.model);
  std::filesystem::remove(o.checkpoint);
  nlohmann::json result = {{"parameters", parameters}, {"samples", samples.samples.size()}, {"conversations", data.conversations.size()}, {"tokens", samples.tokens},
                           {"scored_tokens", samples.scored}, {"steps", plan.steps}, {"resumed_at", run.resumed_at},
                           {"first_loss", run.first_loss}, {"last_loss", run.last_loss}, {"seconds", run.seconds}, {"tokens_per_s", run.tokens_per_s}, {"memory", tuner.memory()}, {"base_fingerprint", base_hash}, {"output", o.out}};
  for (const auto& [reason, which] : samples.refused) result["refused"][reason] = which.size();
  for (const auto& [reason, count] : data.skipped) result["skipped"][reason] = count;
  fmt::print("{}\n", result.dump(o.json ? -1 : 2));
}

}  // namespace

void add_tune(CLI::App& app) {
  auto* command = app.add_subcommand("tune", "Teach a chat model by examples: a LoRA adapter, or with --full the whole model");
  auto o = std::make_shared<TuneOptions>();
  o->plan.training.batch = 16, o->plan.training.rate = 2e-4, o->plan.training.decay = 0, o->plan.training.beta2 = 0.999, o->plan.training.floor = 0;
  command->add_option("MODEL", o->model, "a model with a chat template: a file or a name")->required();
  command->add_option("DATA", o->data, "jsonl:FILE or csv:FILE with messages, prompt and completion, or question and answer")->required();
  command->add_option("-o,--output", o->out, "the adapter's folder (PEFT), or with --full the GGUF")->required();
  command->add_option("--map", o->map, "prompt=COLUMN,completion=COLUMN");
  command->add_option("--system", o->system, "system message for conversations that have none");
  command->add_option("--from", o->from, "an adapter's folder to train on from");
  command->add_flag("--full", o->full, "train every weight");
  command->add_option("--rank", o->lora.rank, "of the adapter")->check(whole(1, 4096));
  command->add_option("--alpha", o->lora.alpha, "the adapter counts alpha / rank")->check(above(0));
  command->add_flag("--rslora", o->lora.rslora, "alpha / sqrt(rank) instead");
  command->add_option("--targets", o->targets, "which matrices, such as q_proj,v_proj; all seven if not given");
  command->add_option("--epochs", o->epochs, "times over the data")->check(above(0));
  command->add_option("--steps", o->steps, "instead of epochs")->check(whole(1));
  command->add_option("--batch", o->plan.training.batch, "samples of a step")->check(whole(1, 65536));
  command->add_option("--micro-tokens", o->plan.micro_tokens, "tokens of a pass; bounds memory")->check(whole(16, 1 << 24));
  command->add_flag("--recompute", o->plan.recompute, "compute activations again instead of keeping them: less memory, a third more work");
  command->add_option("--rate", o->plan.training.rate, "peak learning rate")->check(above(0));
  command->add_option("--warmup", o->plan.training.warmup, "steps of warm-up, a tenth of all at most")->check(whole(0));
  command->add_option("--decay", o->plan.training.decay, "weight decay")->check(at_least(0));
  command->add_option("--clip", o->plan.training.clip, "largest gradient norm")->check(above(0));
  command->add_option("--longest", o->longest, "tokens of a sample, 1,024 or the context if not given")->check(whole(16, 1 << 20));
  command->add_option("--too-long", o->too_long, "refuse or window what is longer; both are counted")->check(CLI::IsMember({"refuse", "window"}));
  command->add_option("--seed", o->plan.training.seed, "of the adapter and the order");
  command->add_option("--precision", o->precision, "of products: bf16 with f32 weights and sums, f32, or what the machine is fast at")->check(CLI::IsMember({"auto", "f32", "bf16"}));
  command->add_option("--checkpoint", o->checkpoint, "state to resume from; beside the output if not given");
  command->add_option("--save-every", o->save_every, "steps between checkpoints; every 30 s if not given")->check(whole(1));
  command->add_option("--type", o->type, "element type that --full writes");
  command->add_flag("--json", o->json, "one JSON object");
  command->callback([o] { tune(*o); });
}

}  // namespace ingot
