// From a recipe to one file: read, curate, split by time, train, evaluate, gate, pack.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "foundry/base.h"
#include "foundry/recipe.h"
#include "foundry/record.h"
#include "foundry/triage/triage_model.h"
#include "guard/rails.h"

namespace ingot {

// What the recipe's sources hold, already parted: oldest first, test later than train.
struct SplitData {
  std::vector<Record> train, test;
  uint64_t train_skipped = 0, test_skipped = 0;
  std::vector<std::string> notes;  // what was left out or assumed, a line each
};

// Reads every source of the recipe. Relative paths are taken from the current folder.
SplitData read_and_split(const Recipe& recipe);

// How a recipe asks the triage model to learn. encoder: of its base, or null.
TriageOptions triage_options(const Recipe& recipe, std::shared_ptr<const TextEncoder> encoder);

// What a packed file says of where it came from: the version of ingot, base, inputs with their hashes, map, and of a turn's version the
// champion that it followed and the corrections that it learnt (the report's).
nlohmann::json provenance_of(const Recipe& recipe, const nlohmann::json& report);

// What each signal adds, as a report says it.
nlohmann::json signals_of(const TriageModel& model);

// Each source with the SHA-256 of its file, so that anyone can see what an AI has learnt from.
nlohmann::json describe_inputs(const std::vector<std::string>& sources);

// A source's skipped rows and notes, a line each.
std::vector<std::string> explain(const Dataset& data);

// Builds the AI and writes `out`. Returns the report that is packed as report.json. Throws Error (gate) when the gate is not
// met; nothing is written then. `say` receives each step's closing line.
nlohmann::json build(const Recipe& recipe, const std::filesystem::path& out, const std::function<void(const std::string&)>& say);

// Writes a triage AI with everything that belongs to it, the base too where the model uses it.
// more: what the report says beside name, kind and purpose.
nlohmann::json pack(const Recipe& recipe, const TriageModel& model, const Base& base, const SplitData& data, const Rails& rails, const nlohmann::json& more,
                    const std::filesystem::path& out);

// The evaluation as a table for people: the AI beside the look-ups.
std::string evaluation_table(const nlohmann::json& evaluation);

}  // namespace ingot
