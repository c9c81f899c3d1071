#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/guard_command.h"
#include "cli/number_range.h"
#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "guard/injection/injection_rail.h"
#include "guard/rates.h"
#include "models/word_vectors.h"

namespace ingot {

std::vector<std::string> lines_of_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) bad_input("the file cannot be read", path, "check the path; it holds one text a line");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

namespace {

struct GuardLearnOptions {
  std::string recipe = "recipes/injection", out;
  std::vector<std::string> ordinary;
  int copies = 10;
  bool families = false;
};

void show(const std::string& name, const Rate& rate) { fmt::print("{:<44} {:5.1f} % (95 %: {:.1f} to {:.1f}) of {}\n", name, 100 * rate.share(), 100 * rate.low(), 100 * rate.high(), rate.total); }

// Recall of each family of attacks by a rail that has not seen it, nor two families beside it.
void measure_families(const Background& attacks, const std::vector<std::vector<std::string>>& ordinary, const InjectionRail::Options& options) {
  constexpr int kParts = 9;
  std::map<int, Rate> recall;
  Rate all;
  for (int part = 0; part < kParts; ++part) {
    Background seen;
    seen.subjects = attacks.subjects;
    for (size_t i = 0; i < attacks.texts.size(); ++i) {
      if (attacks.subject[i] % kParts == part) continue;
      seen.texts.push_back(attacks.texts[i]);
      seen.subject.push_back(attacks.subject[i]);
    }
    const InjectionRail rail = InjectionRail::train(seen, ordinary, options);
    for (size_t i = 0; i < attacks.texts.size(); ++i) {
      if (attacks.subject[i] % kParts != part) continue;
      const bool hit = rail.look(attacks.texts[i]).score > rail.threshold();
      for (Rate* rate : {&recall[attacks.subject[i]], &all}) ++rate->total, rate->hits += hit;
    }
  }
  for (const auto& [family, rate] : recall) show("unseen family: " + attacks.subjects[static_cast<size_t>(family)], rate);
  show("unseen families together", all);
}

}  // namespace

void add_guard_learn(CLI::App& guard) {
  auto options = std::make_shared<GuardLearnOptions>();
  CLI::App* command = guard.add_subcommand("learn-injection", "Trains the model of the injection rail from families of attacks and ordinary texts");
  command->add_option("recipe", options->recipe, "a folder with attacks.txt, ordinary.txt and words.txt")->capture_default_str();
  command->add_option("--ordinary", options->ordinary, "files of ordinary texts, one a line; each is a group of its own");
  command->add_option("-o,--out", options->out, "where the model is written");
  command->add_option("--copies", options->copies, "texts from a line with slots")->check(whole(1, 1000));
  command->add_flag("--families", options->families, "measure each family by a model that has not seen it (nine trainings)");
  command->callback([options] {
    std::filesystem::path folder = options->recipe;
    if (!std::filesystem::exists(folder)) folder = share_dir() / folder;
    const std::string words = read_file(folder / "words.txt");
    const Background attacks = read_background(read_file(folder / "attacks.txt"), words, options->copies);
    std::vector<std::vector<std::string>> ordinary = {read_background(read_file(folder / "ordinary.txt"), words, 6).texts, shipped_background().texts};
    for (const std::string& path : options->ordinary) ordinary.push_back(lines_of_file(path));
    Random random(3);
    for (auto& group : ordinary) random.shuffle(group);
    InjectionRail::Options training;
    training.encoder = WordVectors::shipped();
    if (options->families) measure_families(attacks, ordinary, training);
    const InjectionRail rail = InjectionRail::train(attacks, ordinary, training);
    fmt::print("learnt from {} attacks of {} families; threshold {:.4f}\n", attacks.texts.size(), attacks.subjects.size(), rail.threshold());
    for (size_t group = 0; group < ordinary.size(); ++group) {
      Rate alarms;
      for (size_t i = 4; i < ordinary[group].size(); i += 5) {  // what it did not learn from
        ++alarms.total;
        alarms.hits += rail.look(ordinary[group][i]).score > rail.threshold();
      }
      show("false alarms, " + (group == 0 ? std::string("ordinary.txt") : group == 1 ? "everyday questions" : options->ordinary[group - 2]), alarms);
    }
    if (options->out.empty()) return;
    BlobWriter out;
    rail.save(out);
    write_file(options->out, out.take());
  });
}

}  // namespace ingot
