#include "foundry/distil/distil_chat.h"
#include "foundry/distil/distil_labels.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/error.h"
#include "core/files.h"

namespace ingot {

void add_distil(CLI::App& app) {
  struct Options {
    std::string recipe, out, map, type = "Q8_0", picture;
    std::vector<std::string> settings, sources, tests;
    DistilPlan plan;
    double price = 0;
    bool no_alone = false, json = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("distil", "From a large model a small one for a recipe: prune, teach, quantise, compare");
  command->add_option("recipe", o->recipe, "folder with recipe.toml, of kind chat, classify or triage")->required();
  command->add_option("--teacher", o->plan.teacher, "a model, a chat AI (NAME.ingot), or the address of an OpenAI-compatible API (https://HOST/v1)")->required();
  command->add_option("--student", o->plan.student, "parameters (60M), a size on disk (16MB) or a speed here (200tok/s)")->required();
  command->add_option("-o,--output", o->out, "the file to write, NAME.ingot")->required();
  command->add_option("--cut-from", o->plan.cut_from, "the model that the student is cut from, where it is not the teacher (with --on text)");
  command->add_option("--teacher-model", o->plan.remote.model, "name of a teacher behind an address; its key is taken from INGOT_TEACHER_KEY");
  command->add_option("--teacher-licence", o->plan.remote.licence, "terms under which that teacher's answers may be learnt from, for the provenance");
  command->add_option("--teacher-per-minute", o->plan.remote.per_minute, "requests to that teacher at most")->check(above(0));
  command->add_option("--on", o->plan.on, "learn from the teacher's logits, or from its own answers")->check(CLI::IsMember({"logits", "text"}));
  command->add_option("--steps", o->plan.steps, "optimiser steps; as the recipe's epochs say if not given")->check(whole(1));
  command->add_option("--rate", o->plan.rate, "peak learning rate")->check(above(0));
  command->add_option("--top-k", o->plan.top_k, "teacher's tokens a position")->check(whole(1, 4096));
  command->add_option("--soft", o->plan.soft, "share of the loss that is the teacher's")->check(from_to(0, 1));
  command->add_option("--temperature", o->plan.temperature, "that softens both")->check(from_to(0.1, 100));
  command->add_option("--type", o->type, "element type of the student's matrices at last");
  command->add_option("--set", o->settings, "KEY=VALUE, wins over the recipe")->allow_extra_args(false);
  command->add_option("--source", o->sources, "KIND:PATH instead of the recipe's sources")->allow_extra_args(false);
  command->add_option("--test", o->tests, "KIND:PATH to be judged on")->allow_extra_args(false);
  command->add_option("--map", o->map, "prompt=COLUMN,completion=COLUMN");
  command->add_option("--price", o->price, "of this machine an hour: the report then says what a million tokens cost")->check(at_least(0));
  command->add_option("--svg", o->picture, "write the picture here too");
  command->add_flag("--no-alone", o->no_alone, "do not train the same student without the teacher");
  command->add_flag("--json", o->json, "print the report as one JSON object");
  command->callback([o] {
    Recipe recipe = read_recipe(o->recipe, o->settings);
    if (!o->sources.empty()) recipe.data.sources = o->sources;
    if (!o->tests.empty()) recipe.data.test = o->tests;
    if (!o->map.empty()) recipe.data.map = o->map;
    const auto type = element_type_of_name(o->type);
    if (!type) throw Error(ErrorKind::usage, "\"" + o->type + "\" is no element type", "--type", "use F16, Q8_0, Q4_0, ...");
    check_output(o->out);
    o->plan.type = *type;
    if (recipe.kind != "chat" && (is_remote(o->plan.teacher) || !o->plan.cut_from.empty()))
      throw Error(ErrorKind::usage, "the student of an AI that sorts texts is cut from its teacher, which is a model here", "--teacher", "name a model");
    if (const char* key = std::getenv("INGOT_TEACHER_KEY")) o->plan.remote.key = key;
    o->plan.alone = !o->no_alone;
    const auto distil = recipe.kind == "chat" ? distil_chat : distil_labels;
    nlohmann::json report = distil(recipe, o->plan, o->out, [&](const std::string& line) {
      fmt::print(stderr, "{}\n", line);
      std::fflush(stderr);
    });
    if (o->price > 0) price_distilled(report, o->price);
    if (!o->picture.empty()) write_file(o->picture, distil_svg(report));
    if (o->json) fmt::print("{}\n", report.dump());
    else fmt::print("{}\n", distil_table(report));
  });
}

}  // namespace ingot
