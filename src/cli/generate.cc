#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/engine_options.h"
#include "cli/number_range.h"
#include "cli/sampling_options.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "models/llama/lora.h"
#include "runtime/constraint.h"
#include "runtime/engine.h"
#include "runtime/open_model.h"

namespace ingot {

void add_generate(CLI::App& app) {
  auto* command = app.add_subcommand("generate", "Continue a text with a language model");
  struct Options {
    std::string model, adapter, draft_model, prompt, prompt_file, schema, grammar, regex;
    std::vector<std::string> choices;
    EngineOptions engine;
    Generation request;
    SamplingOptions sampling;
    bool raw = false, json = false, no_special = false;
  };
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "a .gguf file, ingot-base, or a pulled model's name")->required();
  auto* text = command->add_option("-p,--prompt", o->prompt, "the text to continue");
  command->add_option("-f,--file", o->prompt_file, "a file with the text to continue")->excludes(text);
  command->add_option("-n,--tokens", o->request.limit, "tokens to produce at most")->check(whole(1));
  o->sampling.add_to(*command, o->request);
  add_draft_options(*command, o->engine.draft, o->draft_model);
  command->add_option("--adapter", o->adapter, "a LoRA adapter: PEFT's folder, or a GGUF file")->check(CLI::ExistingPath);
  auto* schema = command->add_option("--json-schema", o->schema, "a file with the JSON Schema that the answer satisfies")->check(CLI::ExistingFile);
  auto* grammar = command->add_option("--grammar", o->grammar, "a file with a grammar in llama.cpp's notation")->check(CLI::ExistingFile)->excludes(schema);
  auto* regex = command->add_option("--regex", o->regex, "the answer matches this as a whole")->excludes(schema)->excludes(grammar)->check([](const std::string& text) { return text.empty() ? std::string("it is empty") : std::string(); });
  command->add_option("--choice", o->choices, "the answer is one of these (may be repeated)")->excludes(schema)->excludes(grammar)->excludes(regex);
  add_cache_option(*command, o->engine.cache, "--kv,--cache");
  command->add_option("--logprobs", o->request.top_logprobs, "with --json: each token's text, its logprob and those of the N likeliest")->check(whole(0, 100));
  command->add_flag("--ignore-end", o->request.ignore_end, "go on after the model's end token");
  command->add_flag("--raw", o->raw, "print the continuation and nothing else");
  command->add_flag("--json", o->json, "one JSON object: text, tokens, finish_reason, tokens_per_s");
  command->callback([o] {
    auto language = open_model(o->model);
    std::string prompt = o->prompt_file.empty() ? o->prompt : read_file(o->prompt_file);
    o->request.prompt = language.tokenizer->encode(prompt);
    if (o->request.prompt.empty() && language.tokenizer->eos >= 0) o->request.prompt.push_back(language.tokenizer->eos);
    o->sampling.settle(language.advice, *language.tokenizer, o->request);
    if (!o->adapter.empty()) o->request.adapter = LoraAdapter::open(o->adapter, *language.model);
    using Kind = ConstraintSpec::Kind;
    std::optional<ConstraintSpec> spec;
    if (!o->schema.empty()) spec = {Kind::kJsonSchema, read_file(o->schema), {}};
    if (!o->grammar.empty()) spec = {Kind::kGrammar, read_file(o->grammar), {}};
    if (!o->regex.empty()) spec = {Kind::kRegex, o->regex, {}};
    if (!o->choices.empty()) spec = {Kind::kChoice, "", o->choices};
    if (spec) o->request.constraint = make_constraint(*spec, language.tokenizer);
    if (!o->draft_model.empty()) o->engine.draft_model = open_draft_model(o->draft_model, *language.tokenizer);
    o->engine.cache_bytes = 0;
    o->engine.context = static_cast<int64_t>(o->request.prompt.size()) + o->request.limit;
    o->request.cancel = interruption();
    Engine engine(language.model, language.tokenizer, default_team(), o->engine);
    if (!o->json) {
      if (!o->raw) std::fwrite(prompt.data(), 1, prompt.size(), stdout);
      o->request.on_text = [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
        return true;
      };
    }
    auto result = engine.generate(o->request);
    auto n = static_cast<double>(result.tokens.size());
    double rate = n > 1 ? (n - 1) / (result.total_s - result.first_s) : 0;
    if (o->json) {
      nlohmann::json ids = nlohmann::json::array();
      for (const auto& token : result.tokens) ids.push_back(token.id);
      nlohmann::json out = {{"text", result.text}, {"tokens", ids}, {"finish_reason", finish_name(result.reason)}, {"prompt_tokens", o->request.prompt.size()},
                            {"first_token_s", result.first_s}, {"tokens_per_s", rate}, {"cached", result.cached}};
      if (o->engine.draft > 0) out["drafted"] = result.drafted, out["accepted"] = result.accepted;
      if (o->request.constraint) out["constraint_s"] = result.constraint_s;
      if (o->request.top_logprobs >= 0)
        for (const auto& token : result.tokens) {
          nlohmann::json top = nlohmann::json::array();
          for (size_t i = 1; i < token.scores.size(); ++i) top.push_back({{"id", token.scores[i].token}, {"text", language.tokenizer->decode(std::span(&token.scores[i].token, 1))}, {"logprob", token.scores[i].logprob}});
          out["logprobs"].push_back({{"text", language.tokenizer->decode(std::span(&token.id, 1))}, {"logprob", token.scores[0].logprob}, {"top", top}});
        }
      std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    } else if (!o->raw) {
      std::printf("\n");
      std::fprintf(stderr, "%.0f tokens, first after %.3f s, then %.1f a second\n", n, result.first_s, rate);
    }
    if (interrupted()) throw Error(ErrorKind::interrupted, "stopped", "generate", "run it again");
  });
}

}  // namespace ingot
