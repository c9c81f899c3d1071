// The rails of an AI from its recipe and its own texts, with the three rates that say what they are worth.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "foundry/recipe.h"
#include "guard/rails.h"

namespace ingot {

// train, test: what the AI is asked. The rates come from a rail that has seen neither `test` nor a fifth of the background's
// subjects; the rail that is returned has learnt from everything in `train` (and `test`, if learn_all) and the whole background.
// report: guard.{topic, ...} as it stands in report.json. Throws Error (recipe) for examples that contradict each other.
Rails build_rails(const Recipe& recipe, const std::vector<std::string>& train, const std::vector<std::string>& test, bool learn_all,
                  const std::vector<std::shared_ptr<const TextEncoder>>& encoders, nlohmann::json& report, const std::function<void(const std::string&)>& say);

// The encoders that a recipe asks for: the embedded word vectors, and `guard.encoder` if it names another. To be called before the training: throws
// Error for what the recipe alone shows to be wrong with its rails.
std::vector<std::shared_ptr<const TextEncoder>> encoders_of(const Recipe& recipe);

}  // namespace ingot
