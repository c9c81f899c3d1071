#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/chat_session.h"
#include "cli/engine_options.h"
#include "cli/number_range.h"
#include "cli/sampling_options.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/progress.h"
#include "models/llama/lora.h"

namespace ingot {

void add_chat(CLI::App& app) {
  struct Options {
    std::string model, system, once, adapter, draft_model;
    Generation request;
    SamplingOptions sampling;
    EngineOptions engine;
  };
  auto o = std::make_shared<Options>();
  o->request.limit = 1024;
  o->request.sampling.temperature = 0.7;
  CLI::App* command = app.add_subcommand("chat", "Talk to a language model on the terminal");
  command->add_option("MODEL", o->model, "a pulled model's name, a .gguf file or a folder")->required();
  command->add_option("--system", o->system, "what the model is told first");
  command->add_option("-p,--prompt", o->once, "ask this, print the answer and end");
  command->add_option("-n,--tokens", o->request.limit, "of an answer, at most")->check(whole(1));
  o->sampling.add_to(*command, o->request);
  command->add_option("--adapter", o->adapter, "a LoRA adapter: PEFT's folder, or a GGUF file")->check(CLI::ExistingPath);
  command->add_option("--context", o->engine.context, "tokens that a conversation may have; without it as many as 1 GiB of keys and values holds, or the model")->check(whole(64, 1 << 30));
  add_cache_option(*command, o->engine.cache);
  add_draft_options(*command, o->engine.draft, o->draft_model);
  command->callback([o] {
    if (o->engine.context > 0) o->engine.cache_bytes = 0;
    ChatSession talk(o->model, o->engine, o->draft_model);
    if (!o->adapter.empty()) o->request.adapter = LoraAdapter::open(o->adapter, talk.model());
    o->sampling.settle(talk.advice(), talk.tokenizer(), o->request);
    o->request.cancel = interruption();
    talk.system(o->system);
    const auto show = [](std::string_view text) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
      return true;
    };
    if (!o->once.empty()) {
      talk.say(o->once, o->request, show);
      std::puts("");
      if (interrupted()) throw Error(ErrorKind::interrupted, "stopped", "chat", "ask again");
      return;
    }
    const bool terminal = isatty(0) && isatty(1);
    if (terminal) fmt::print(stderr, "{}, context {} tokens. Ctrl-C stops an answer, Ctrl-D or /bye ends, /new begins anew.\n", o->model, talk.context());
    for (std::string line;;) {
      if (terminal) {
        std::fputs("\n> ", stdout);
        std::fflush(stdout);
        std::signal(SIGINT, SIG_DFL);  // nothing is under way that a Ctrl-C could stop: it ends the program
      }
      const bool said = static_cast<bool>(std::getline(std::cin, line));
      install_interrupt_handler();
      if (!said || line == "/bye" || interrupted()) break;
      if (line.empty()) continue;
      if (line == "/new") {
        talk.begin();
        continue;
      }
      try {
        const GenerationResult result = talk.say(line, o->request, show);
        std::puts("");
        const auto n = static_cast<double>(result.tokens.size());
        if (terminal && n > 1) fmt::print(stderr, "[{:.0f} tokens, first after {:.2f} s, then {:.1f} a second; {} of {} used]\n", n, result.first_s, (n - 1) / (result.total_s - result.first_s), talk.used(), talk.context());
      } catch (const Error& error) {
        if (error.kind != ErrorKind::input) throw;
        fmt::print(stderr, "{}\n", error.what());
      }
      if (interrupted() && !terminal) throw Error(ErrorKind::interrupted, "stopped", "chat", "ask again");
      forget_interrupt();  // it stopped the answer, not the conversation
    }
    if (terminal) std::puts("");
  });
}

}  // namespace ingot
