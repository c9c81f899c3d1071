#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/chat_session.h"
#include "cli/number_range.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "foundry/ai.h"
#include "foundry/person_names.h"
#include "foundry/sources/source.h"
#include "foundry/triage/paired_bootstrap.h"

namespace ingot {
namespace {

using nlohmann::ordered_json;

struct Answer {
  std::string text;  // for people
  std::string head;  // what two answers are compared by
  int64_t tokens = 0;
  double seconds = 0;
};

// An AI of one file, or a language model.
struct Contestant {
  std::string name;
  std::shared_ptr<const Ai> ai;
  std::unique_ptr<ChatSession> talk;

  explicit Contestant(const std::string& what) : name(what) {
    if (std::filesystem::is_regular_file(what) && looks_like_archive(what)) {
      ai = Ai::open(what);
    } else {
      talk = std::make_unique<ChatSession>(what);
    }
  }

  Answer ask(const std::string& prompt, const Generation& request) {
    const auto start = std::chrono::steady_clock::now();
    Answer out;
    if (talk) {
      talk->begin();
      const GenerationResult result = talk->say(prompt, request, [](std::string_view) { return !interrupted(); });
      out = {result.text, result.text, static_cast<int64_t>(result.tokens.size()), 0};
    } else {
      const auto answer = ai->answer(prompt);
      if (!answer.value("allowed", true)) {
        out.text = "declined: " + answer.value("reason", "");
        out.head = "declined";
      } else {
        const auto& ranked = answer[ai->kind() == "triage" ? "engineers" : "labels"];
        for (size_t i = 0; i < std::min<size_t>(3, ranked.size()); ++i) out.text += fmt::format("{}{} {:.2f}", i ? ", " : "", ranked[i]["name"].get<std::string>(), ranked[i]["p"].get<double>());
        if (answer.value("abstain", false)) out.text += " (abstains)";
        if (!ranked.empty()) out.head = ranked[0]["name"].get<std::string>();
      }
    }
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return out;
  }

  // 1 where the record's own answer is among the first `depth`, by record.
  std::vector<double> hits(const std::vector<Record>& records, size_t depth) const {
    std::vector<double> out;
    for (const Record& record : records) {
      const auto answer = ai->classify(record.text);
      const bool triage = ai->kind() == "triage";
      const auto& ranked = answer[triage ? "engineers" : "labels"];
      bool hit = false;
      for (size_t i = 0; i < std::min(depth, ranked.size()); ++i) hit |= ranked[i]["name"] == (triage ? record.engineer : record.label);
      out.push_back(hit);
      stop_if_interrupted("compare");
    }
    return out;
  }
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

void compare_on_data(const Contestant& a, const Contestant& b, const std::string& source, const std::string& map, bool as_json) {
  if (!a.ai || !b.ai || a.ai->kind() != b.ai->kind()) throw Error(ErrorKind::usage, "--data compares two AIs of one kind", "compare", "give two .ingot files, or prompts instead of --data");
  Dataset data = read_source(source, parse_map(map));
  const bool labelled = a.ai->kind() == "classify";
  std::erase_if(data.records, [&](const Record& record) { return (labelled ? record.label : record.engineer).empty(); });
  if (data.records.empty()) bad_input("no record can be judged", source, "the records need a text and its answer; say which columns with --map");
  if (!labelled) match_spellings(data.records, a.ai->triage().engineers());
  ordered_json out = {{"records", data.records.size()}, {"a", a.name}, {"b", b.name}};
  for (size_t depth : {size_t{1}, size_t{5}}) {
    if (labelled && depth > 1) continue;
    const auto with = a.hits(data.records, depth), without = b.hits(data.records, depth);
    const PairedDifference difference = paired_bootstrap(with, without, 1);
    out["top_" + std::to_string(depth)] = {{"a", mean(with)}, {"b", mean(without)}, {"a_minus_b", difference.mean}, {"low", difference.low}, {"high", difference.high}};
  }
  if (as_json) return (void)std::puts(out.dump().c_str());
  fmt::print("{} records\n{:<6} {:>9} {:>9}   {}\n", data.records.size(), "", "A", "B", "A - B (95 %)");
  for (const char* key : {"top_1", "top_5"})
    if (out.contains(key)) {
      const ordered_json& row = out[key];
      fmt::print("{:<6} {:>8.1f}% {:>8.1f}%   {:+.1f} points ({:+.1f} to {:+.1f})\n", key, 100 * row["a"].get<double>(), 100 * row["b"].get<double>(), 100 * row["a_minus_b"].get<double>(), 100 * row["low"].get<double>(), 100 * row["high"].get<double>());
    }
}

}  // namespace

void add_compare(CLI::App& app) {
  struct Options {
    std::string a, b, prompts, data, map;
    Generation request;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  o->request.sampling.temperature = 0;
  o->request.limit = 128;
  CLI::App* command = app.add_subcommand("compare", "Two AIs or models on the same questions or data, side by side");
  command->add_option("A", o->a, "NAME.ingot or a chat model")->required();
  command->add_option("B", o->b, "NAME.ingot or a chat model")->required();
  CLI::Option* prompts = command->add_option("PROMPTS", o->prompts, "one question a line; without it, stdin");
  command->add_option("--data", o->data, "KIND:PATH of records with answers, for two AIs of one kind")->excludes(prompts);
  command->add_option("--map", o->map, "FIELD=COLUMN,... for csv and jsonl");
  command->add_option("-n,--tokens", o->request.limit, "of an answer, at most")->check(whole(1));
  command->add_option("--temperature", o->request.sampling.temperature, "0: always the likeliest token")->check(from_to(0, 100));
  command->add_option("--seed", o->request.sampling.seed, "the same seed gives the same answers");
  command->add_flag("--json", o->json, "one JSON object a question, then one about all");
  command->callback([o] {
    Contestant a(o->a), b(o->b);
    if (!o->data.empty()) return compare_on_data(a, b, o->data, o->map, o->json);
    std::ifstream file;
    if (!o->prompts.empty()) {
      file.open(o->prompts);
      if (!file) bad_input("cannot be opened", o->prompts, "check the path");
    }
    std::istream& in = o->prompts.empty() ? std::cin : file;
    int64_t asked = 0, same = 0;
    double seconds[2] = {0, 0};
    int64_t tokens[2] = {0, 0};
    for (std::string line; std::getline(in, line);) {
      if (line.empty()) continue;
      const Answer one = a.ask(line, o->request), other = b.ask(line, o->request);
      stop_if_interrupted("compare");
      ++asked;
      same += one.head == other.head;
      const Answer* answers[2] = {&one, &other};
      for (int i = 0; i < 2; ++i) {
        seconds[i] += answers[i]->seconds;
        tokens[i] += answers[i]->tokens;
      }
      if (o->json) {
        ordered_json row = {{"prompt", line}, {"same", one.head == other.head}};
        for (int i = 0; i < 2; ++i) row[i ? "b" : "a"] = {{"answer", answers[i]->text}, {"tokens", answers[i]->tokens}, {"seconds", answers[i]->seconds}};
        std::puts(row.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
      } else {
        fmt::print("? {}\nA {}\nB {}\n\n", line, one.text, other.text);
      }
      std::fflush(stdout);
    }
    if (asked == 0) bad_input("there is no question", o->prompts.empty() ? "stdin" : o->prompts, "write one a line");
    if (o->json) {
      ordered_json out = {{"asked", asked}, {"same", same}};
      for (int i = 0; i < 2; ++i) out[i ? "b" : "a"] = {{"name", i ? o->b : o->a}, {"seconds", seconds[i]}, {"tokens", tokens[i]}};
      std::puts(out.dump().c_str());
    } else {
      fmt::print("{} questions, {} answered alike; A took {:.2f} s, B {:.2f} s\n", asked, same, seconds[0], seconds[1]);
    }
  });
}

}  // namespace ingot
