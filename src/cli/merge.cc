#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "core/files.h"
#include "models/llama/llama.h"
#include "models/llama/lora.h"
#include "runtime/model_gguf.h"
#include "runtime/open_model.h"

namespace ingot {
namespace {

struct MergeOptions {
  std::string base, adapter, out, type;
  bool json = false;
};

void merge(const MergeOptions& o) {
  std::optional<ElementType> type;
  if (!o.type.empty() && !(type = element_type_of_name(o.type))) throw Error(ErrorKind::usage, "\"" + o.type + "\" is no type", "--type", "use F32, F16, BF16, Q8_0 or another of those that ingot quantize writes");
  check_output(o.out);
  auto file = gguf_of_model(find_model(o.base));
  auto model = Llama::load(file);
  const MergedLora done = merge_lora(*file, *model, *LoraAdapter::open(o.adapter, *model), o.out, type);
  if (o.json) {
    nlohmann::json types = nlohmann::json::object();
    for (const auto& [to, count] : done.matrices) types[std::string(element_name(to))] = count;
    std::printf("%s\n", nlohmann::json{{"file", o.out}, {"matrices", types}, {"rounding", done.rounding}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  std::string types;
  for (const auto& [to, count] : done.matrices) types += (types.empty() ? "" : ", ") + std::to_string(count) + " in " + std::string(element_name(to));
  std::printf("%s: changed matrices: %s", o.out.c_str(), types.c_str());
  if (done.rounding > 0) std::printf("; rounding to that moved them by %.3g %% of what the adapter did", 100 * done.rounding);
  const char* finer = done.matrices.contains(ElementType::kF16) ? "F32" : "F16";
  std::printf("%s\n", done.rounding > 0.1 ? (std::string(", --type ") + finer + " keeps more of it").c_str() : "");
}

}  // namespace

void add_merge(CLI::App& app) {
  auto* command = app.add_subcommand("merge", "Add a LoRA adapter's products into its base model");
  auto o = std::make_shared<MergeOptions>();
  command->add_option("BASE", o->base, "a .gguf file, a Hugging Face folder, or a model's name")->required();
  command->add_option("ADAPTER", o->adapter, "PEFT's folder, or a GGUF file of type adapter")->required()->check(CLI::ExistingPath);
  command->add_option("OUT", o->out, "the GGUF file to write")->required();
  command->add_option("--type", o->type, "element type of the matrices that the adapter changes; without it each keeps its own, and is rounded to it");
  command->add_flag("--json", o->json, "one JSON object: file, matrices by type, rounding as a share of the adapter's change");
  command->callback([o] { merge(*o); });
}

}  // namespace ingot
