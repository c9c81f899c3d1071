#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/chat_session.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/progress.h"

namespace ingot {

void add_chat(CLI::App& app) {
  struct Options {
    std::string model, system, once;
    Generation request;
  };
  auto o = std::make_shared<Options>();
  o->request.limit = 1024;
  o->request.sampling.temperature = 0.7;
  CLI::App* command = app.add_subcommand("chat", "Talk to a language model on the terminal");
  command->add_option("MODEL", o->model, "a pulled model's name, a .gguf file or a folder")->required();
  command->add_option("--system", o->system, "what the model is told first");
  command->add_option("-p,--prompt", o->once, "ask this, print the answer and end");
  command->add_option("-n,--tokens", o->request.limit, "of an answer, at most")->check(CLI::PositiveNumber);
  command->add_option("--temperature", o->request.sampling.temperature, "0: always the likeliest token")->check(CLI::Range(0.0, 100.0));
  command->add_option("--top-p", o->request.sampling.top_p, "draw from the likeliest that sum to p")->check(CLI::Range(0.0, 1.0));
  command->add_option("--min-p", o->request.sampling.min_p, "leave out what is less likely than this share of the top")->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", o->request.sampling.seed, "the same seed gives the same answers");
  command->callback([o] {
    ChatSession talk(o->model);
    talk.system(o->system);
    const auto show = [](std::string_view text) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
      return !interrupted();
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
      }
      if (!std::getline(std::cin, line) || line == "/bye") break;
      if (interrupted()) break;  // Ctrl-C at the prompt
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
