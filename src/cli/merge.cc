#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "models/llama/lora.h"
#include "runtime/open_model.h"

namespace ingot {

void add_merge(CLI::App& app) {
  auto* command = app.add_subcommand("merge", "Add a LoRA adapter's products into its base model");
  struct Options {
    std::string base, adapter, out;
  };
  auto o = std::make_shared<Options>();
  command->add_option("BASE", o->base, "a .gguf file, ingot-base, or a pulled model's name")->required();
  command->add_option("ADAPTER", o->adapter, "PEFT's folder, or a GGUF file of type adapter")->required()->check(CLI::ExistingPath);
  command->add_option("OUT", o->out, "the GGUF file to write; what the adapter changes keeps its element type")->required();
  command->callback([o] {
    auto language = open_model(o->base);
    if (!language.model->file()) bad_input("the base is no GGUF file", o->base, "convert it first");
    auto adapter = LoraAdapter::open(o->adapter, *language.model);
    merge_lora(*language.model->file(), *language.model, *adapter, o->out);
  });
}

}  // namespace ingot
