// Who joined, was renamed or left since an AI was built: a small file beside it, so that nothing is trained again.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "foundry/triage/triage_model.h"

namespace ingot {

struct People {
  std::map<std::string, std::string> renamed;               // as the AI learnt it -> as it is now
  std::set<std::string> left;                               // as the AI learnt it
  std::map<std::string, std::vector<std::string>> joined;   // name -> the components that the person works on
  bool empty() const { return renamed.empty() && left.empty() && joined.empty(); }

  // NAME.ingot.people.toml beside NAME.ingot.
  static std::filesystem::path beside(const std::filesystem::path& ai);
  // Empty if there is no such file. Throws Error (input) for one that is not understood.
  static People read(const std::filesystem::path& file);
  void write(const std::filesystem::path& file) const;

  // Changes a full ranking (every engineer and component): whoever left goes, and their chances with them to the others; whoever
  // joined gets, of each of their components' chance, one person's even share (model.people_at(component) and themselves).
  // Keeps the `most` best.
  void apply(TriageAnswer& answer, const TriageModel& model, size_t most) const;
};

}  // namespace ingot
