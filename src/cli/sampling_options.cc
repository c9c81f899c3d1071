#include "cli/sampling_options.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "cli/number_range.h"
#include "core/error.h"
#include "runtime/engine.h"
#include "runtime/sampling_advice.h"
#include "text/tokenizer.h"

namespace ingot {

void SamplingOptions::add_to(CLI::App& command, Generation& request) {
  command_ = &command;
  Sampling& s = request.sampling;
  command.add_option("--temperature", s.temperature, "0: always the likeliest token")->check(from_to(0, 100));
  command.add_option("--top-k", s.top_k, "draw from the k likeliest, 0: all")->check(whole(0));
  command.add_option("--top-p", s.top_p, "draw from the likeliest that sum to p")->check(from_to(0, 1));
  command.add_option("--min-p", s.min_p, "leave out what is less likely than this share of the top")->check(from_to(0, 1));
  command.add_option("--typical", s.typical, "keep this mass of the tokens that surprise as much as is to be expected")->check(from_to(0, 1));
  command.add_option("--repetition-penalty", s.repetition, "above 1 discourages what was said")->check(from_to(0.01, 100));
  command.add_option("--presence-penalty", s.presence, "off every token that was said")->check(from_to(-100, 100));
  command.add_option("--frequency-penalty", s.frequency, "off a token each time that it was said")->check(from_to(-100, 100));
  command.add_option("--penalty-window", s.penalty_window, "the penalties look at this many last tokens, 0: all")->check(whole(0));
  command.add_option("--dry", s.dry, "strength against repeating whole passages, 0: off")->check(from_to(0, 100));
  command.add_option("--dry-base", s.dry_base, "by how much it grows with each token of a repetition")->check(from_to(1, 100));
  command.add_option("--dry-allowed", s.dry_allowed, "tokens that may be repeated freely")->check(whole(0));
  command.add_option("--dry-window", s.dry_window, "it looks at this many last tokens, 0: all")->check(whole(0));
  command.add_option("--dry-breaker", s.dry_breakers, "no repetition reaches across a token with this text (may be repeated)");
  command.add_option("--logit-bias", biases_, "ID=BIAS, -100 to 100: makes a token likelier or not (may be repeated)");
  command.add_option("--seed", s.seed, "the same seed gives the same text");
  command.add_option("--stop", request.stop, "text that ends the answer (may be repeated)")->check([](const std::string& text) { return text.empty() ? std::string("it is empty") : std::string(); });
}

void SamplingOptions::settle(const SamplingAdvice& advice, const Tokenizer& tokenizer, Generation& request) const {
  Sampling said = request.sampling;
  advice.apply(request.sampling);
  const auto keep = [&](const char* option, auto Sampling::*field) {
    if (command_->count(option)) request.sampling.*field = said.*field;
  };
  keep("--temperature", &Sampling::temperature);
  keep("--top-k", &Sampling::top_k);
  keep("--top-p", &Sampling::top_p);
  keep("--min-p", &Sampling::min_p);
  keep("--repetition-penalty", &Sampling::repetition);
  for (const std::string& bias : biases_) {
    const auto fault = [&] { return Error(ErrorKind::usage, "\"" + bias + "\" is no bias of a token", "--logit-bias", "give ID=BIAS, the id below " + std::to_string(tokenizer.size()) + ", the bias from -100 to 100"); };
    const char *at = bias.data(), *end = at + bias.size();
    int32_t id = -1;
    float value = 0;
    const auto first = std::from_chars(at, end, id);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != '=' || id < 0 || id >= tokenizer.size()) throw fault();
    const auto second = std::from_chars(first.ptr + 1, end, value);
    if (second.ec != std::errc() || second.ptr != end || !(value >= -100 && value <= 100)) throw fault();
    request.sampling.bias[id] = value;
  }
}

}  // namespace ingot
