#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "runtime/engine.h"
#include "runtime/open_model.h"

namespace ingot {

void add_generate(CLI::App& app) {
  auto* command = app.add_subcommand("generate", "Continue a text with a language model");
  struct Options {
    std::string model, prompt, prompt_file, cache = "f16";
    Generation request;
    bool raw = false, json = false, no_special = false;
  };
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "a .gguf file, ingot-base, or a pulled model's name")->required();
  auto* text = command->add_option("-p,--prompt", o->prompt, "the text to continue");
  command->add_option("-f,--file", o->prompt_file, "a file with the text to continue")->excludes(text);
  command->add_option("-n,--tokens", o->request.limit, "tokens to produce at most")->check(CLI::PositiveNumber);
  command->add_option("--temperature", o->request.sampling.temperature, "0: always the likeliest token")->check(CLI::Range(0.0, 100.0));
  command->add_option("--top-k", o->request.sampling.top_k, "draw from the k likeliest, 0: all")->check(CLI::NonNegativeNumber);
  command->add_option("--top-p", o->request.sampling.top_p, "draw from the likeliest that sum to p")->check(CLI::Range(0.0, 1.0));
  command->add_option("--min-p", o->request.sampling.min_p, "leave out what is less likely than this share of the top")->check(CLI::Range(0.0, 1.0));
  command->add_option("--repetition-penalty", o->request.sampling.repetition, "above 1 discourages what was said")->check(CLI::PositiveNumber);
  command->add_option("--seed", o->request.sampling.seed, "the same seed gives the same text");
  command->add_option("--stop", o->request.stop, "text that ends the answer");
  command->add_option("--cache", o->cache, "element type of the key/value cache")->check(CLI::IsMember({"f32", "f16"}));
  command->add_option("--logprobs", o->request.top_logprobs, "with --json: each token's text, its logprob and those of the N likeliest")->check(CLI::Range(0, 100));
  command->add_flag("--ignore-end", o->request.ignore_end, "go on after the model's end token");
  command->add_flag("--raw", o->raw, "print the continuation and nothing else");
  command->add_flag("--json", o->json, "one JSON object: text, tokens, finish_reason, tokens_per_s");
  command->callback([o] {
    auto language = open_model(o->model);
    std::string prompt = o->prompt_file.empty() ? o->prompt : read_file(o->prompt_file);
    o->request.prompt = language.tokenizer->encode(prompt);
    if (o->request.prompt.empty() && language.tokenizer->eos >= 0) o->request.prompt.push_back(language.tokenizer->eos);
    EngineOptions options;
    options.cache = o->cache == "f32" ? CacheType::kF32 : CacheType::kF16;
    Engine engine(language.model, language.tokenizer, default_team(), options);
    if (!o->json) {
      if (!o->raw) std::fwrite(prompt.data(), 1, prompt.size(), stdout);
      o->request.on_text = [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
        return !interrupted();
      };
    }
    auto result = engine.generate(o->request);
    auto n = static_cast<double>(result.tokens.size());
    double rate = n > 1 ? (n - 1) / (result.total_s - result.first_s) : 0;
    if (o->json) {
      nlohmann::json ids = nlohmann::json::array();
      for (const auto& token : result.tokens) ids.push_back(token.id);
      nlohmann::json out = {{"text", result.text}, {"tokens", ids}, {"finish_reason", finish_name(result.reason)}, {"prompt_tokens", o->request.prompt.size()},
                            {"first_token_s", result.first_s}, {"tokens_per_s", rate}};
      if (o->request.top_logprobs >= 0)
        for (const auto& token : result.tokens) {
          nlohmann::json top = nlohmann::json::array();
          for (size_t i = 1; i < token.scores.size(); ++i) top.push_back({{"id", token.scores[i].token}, {"logprob", token.scores[i].logprob}});
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
