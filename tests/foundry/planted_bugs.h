// Bugs whose texts say whose they are, with the file and the AI that are made of them.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/random.h"
#include "foundry/build.h"

namespace ingot::planted {

struct PlantedBug {
  std::string text, engineer, component;
  int64_t time = 0;
};

// People of pairs: each has words of their own in each dialect; 2: the first and another one, in turn.
inline std::vector<PlantedBug> planted_bugs(size_t count, uint64_t seed, uint64_t dialect = 0, uint64_t people = 4, int64_t from = 1000000000) {
  Random random(seed);
  std::vector<PlantedBug> bugs;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t person = random.below(people);
    PlantedBug bug;
    bug.engineer = "person" + std::to_string(person);
    bug.component = "part" + std::to_string(person / 2);
    bug.time = from + static_cast<int64_t>(i) * 3600;
    for (int w = 0; w < 10; ++w)
      bug.text += (w % 2 ? "common" + std::to_string(random.below(300)) : "word" + std::to_string((dialect == 2 ? i % 2 : dialect) * 1000 + person * 20 + random.below(20))) + "x ";
    bugs.push_back(std::move(bug));
  }
  return bugs;
}

inline void write_bugs(const std::filesystem::path& file, const std::vector<PlantedBug>& bugs) {
  std::ofstream out(file);
  out << "id,engineer,component,text,time\n";
  for (size_t i = 0; i < bugs.size(); ++i) out << file.stem().string() << i << "," << bugs[i].engineer << "," << bugs[i].component << "," << bugs[i].text << "," << bugs[i].time << "\n";
}

// folder/train.csv, folder/test.csv and folder/bugs.ingot, an AI named "bugs".
inline std::filesystem::path planted_ai(const std::filesystem::path& folder, const std::string& more = "") {
  std::filesystem::create_directories(folder);
  write_bugs(folder / "train.csv", planted_bugs(400, 1));
  write_bugs(folder / "test.csv", planted_bugs(150, 2, 0, 4, 1002000000));
  Recipe recipe = parse_recipe("name = \"bugs\"\nkind = \"triage\"\n[train]\nablation = false\nllama = false\n" + more, "recipe.toml");
  recipe.data.sources = {"csv:" + (folder / "train.csv").string()};
  recipe.data.test = {"csv:" + (folder / "test.csv").string()};
  recipe.data.map = "id=id,engineer=engineer,component=component,text=text,time=time";
  build(recipe, folder / "bugs.ingot", [](const std::string&) {});
  return folder / "bugs.ingot";
}

}  // namespace ingot::planted
