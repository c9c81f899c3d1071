// Kind "chat": conversations to an adapter over a language model.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "foundry/chat/chat_ai.h"
#include "foundry/chat/chat_evaluation.h"
#include "foundry/recipe.h"
#include "guard/rails.h"

namespace ingot {

// The recipe's conversations, parted: the newest are held out where they have times, else a share by chance.
struct ChatSplit {
  std::vector<Conversation> train, test;
  std::vector<std::string> notes;
  uint64_t skipped = 0;
};
ChatSplit read_chat_split(const Recipe& recipe);

// Samples of `conversations` with every refusal noted; a conversation that makes no sample is taken out.
ChatSamples samples_of(const ChatPrompt& prompt, std::vector<Conversation>& conversations, const Recipe& recipe, int64_t context, std::vector<std::string>& notes);

// The adapter that a recipe begins with.
LoraPlan adapter_shape(const Recipe& recipe);
// How it is trained on this many samples.
TuningPlan adapter_plan(const Recipe& recipe, size_t samples);

// Reads, judges the base on the held-out part, trains, judges again, gates, packs. A state beside `out` lets an interrupted build go on.
// Returns the report that is packed as report.json.
nlohmann::json build_chat(const Recipe& recipe, const std::filesystem::path& out, const std::function<void(const std::string&)>& say);

// What every chat AI is packed with. model_gguf: a model of its own, or empty: the base, whole if recipe.pack_full, else by reference.
struct ChatParts {
  const SharedBase* base = nullptr;
  const Lora* lora = nullptr;
  std::string model_gguf;
  const Rails* rails = nullptr;
  std::string report, provenance, picture;
  std::vector<Conversation> examples;
};
void pack_chat(const Recipe& recipe, const ChatParts& parts, const std::filesystem::path& out);

// The object that `ingot evaluate --json` prints for this kind.
nlohmann::json evaluate_chat(const ChatAi& ai, std::vector<Conversation> conversations, const ChatJudging& judging, ThreadTeam& team);
std::string chat_table(const nlohmann::json& evaluation);

}  // namespace ingot
