#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "models/llama/llama.h"
#include "models/llama/lora.h"
#include "runtime/model_gguf.h"
#include "runtime/open_model.h"

namespace ingot {

void add_merge(CLI::App& app) {
  auto* command = app.add_subcommand("merge", "Add a LoRA adapter's products into its base model");
  struct Options {
    std::string base, adapter, out;
  };
  auto o = std::make_shared<Options>();
  command->add_option("BASE", o->base, "a .gguf file, a Hugging Face folder, or a model's name")->required();
  command->add_option("ADAPTER", o->adapter, "PEFT's folder, or a GGUF file of type adapter")->required()->check(CLI::ExistingPath);
  command->add_option("OUT", o->out, "the GGUF file to write; what the adapter changes keeps its element type")->required();
  command->callback([o] {
    auto file = gguf_of_model(find_model(o->base));
    auto model = Llama::load(file);
    merge_lora(*file, *model, *LoraAdapter::open(o->adapter, *model), o->out);
  });
}

}  // namespace ingot
