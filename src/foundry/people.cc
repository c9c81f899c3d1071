#include "foundry/people.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/files.h"

namespace ingot {

std::filesystem::path People::beside(const std::filesystem::path& ai) { return ai.string() + ".people.toml"; }

People People::read(const std::filesystem::path& file) {
  People people;
  std::error_code none;
  if (!std::filesystem::exists(file, none)) return people;
  const auto wrong = [&](const std::string& what) { bad_input(what, file.string(), "see docs/cli.md, `ingot people`"); };
  toml::table table;
  try {
    table = toml::parse(MappedFile(file).text());
  } catch (const toml::parse_error& error) {
    wrong(std::string("this is not TOML: ") + std::string(error.description()));
  }
  for (const auto& [key, node] : table) {
    if (key == "leave" && node.is_array()) {
      for (const auto& one : *node.as_array()) people.left.insert(one.value_or(std::string()));
    } else if (key == "rename" && node.is_table()) {
      for (const auto& [from, to] : *node.as_table()) people.renamed[std::string(from.str())] = to.value_or(std::string());
    } else if (key == "join" && node.is_table()) {
      for (const auto& [name, places] : *node.as_table()) {
        if (!places.is_array()) wrong(fmt::format("join.{} is not a list of components", name.str()));
        for (const auto& one : *places.as_array()) people.joined[std::string(name.str())].push_back(one.value_or(std::string()));
      }
    } else {
      wrong(fmt::format("\"{}\" is not known here, or is of the wrong type: leave is a list, rename and join are tables", key.str()));
    }
  }
  return people;
}

void People::write(const std::filesystem::path& file) const {
  toml::table table, rename, join;
  toml::array leave;
  for (const std::string& one : left) leave.push_back(one);
  for (const auto& [from, to] : renamed) rename.insert(from, to);
  for (const auto& [name, places] : joined) {
    toml::array list;
    for (const std::string& place : places) list.push_back(place);
    join.insert(name, std::move(list));
  }
  table.insert("leave", std::move(leave));
  table.insert("rename", std::move(rename));
  table.insert("join", std::move(join));
  std::ostringstream text;
  text << "# Who joined, was renamed or left since the AI beside this file was built. Made by `ingot people`.\n" << table << "\n";
  write_file(file, text.str());
}

void People::apply(TriageAnswer& answer, const TriageModel& model, size_t most) const {
  double before = 0, after = 0;
  std::vector<Candidate> now;
  for (Candidate& one : answer.engineers) {
    before += one.p;
    if (left.contains(one.name)) continue;
    if (const auto at = renamed.find(one.name); at != renamed.end()) one.name = at->second;
    now.push_back(std::move(one));
  }
  for (const auto& [name, places] : joined) {
    double p = 0;
    for (const Candidate& component : answer.components) {
      if (std::find(places.begin(), places.end(), component.name) != places.end()) p += component.p * before / (model.people_at(component.name) + 1);
    }
    now.push_back({name, p});
  }
  for (const Candidate& one : now) after += one.p;
  for (Candidate& one : now) one.p *= after > 0 ? before / after : 0;
  std::stable_sort(now.begin(), now.end(), [](const Candidate& a, const Candidate& b) { return a.p > b.p; });
  if (now.size() > most) now.resize(most);
  answer.engineers = std::move(now);
  if (answer.components.size() > most) answer.components.resize(most);
  answer.abstain = answer.engineers.empty() || answer.engineers[0].p < model.threshold();
  for (SimilarBug& bug : answer.similar) {
    if (const auto at = renamed.find(bug.engineer); at != renamed.end()) bug.engineer = at->second;
  }
}

}  // namespace ingot
