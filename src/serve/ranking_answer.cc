#include "serve/ranking_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "foundry/ai.h"
#include "serve/subjects.h"

namespace ingot {

using nlohmann::json;

bool stopped_by_rails(const json& answer) { return answer.contains("guard") && !answer["guard"]["allowed"].get<bool>(); }

json ranking_answer(const Ai& ai, const std::string& name, const std::string& text, const Subjects& subjects, std::span<const std::string> earlier) {
  json answer = ai.answer(text, earlier);
  if (stopped_by_rails(answer) && answer["guard"]["rail"] == "topic")
    if (const std::string other = subjects.other_than(name, text); !other.empty()) answer["guard"]["ask"] = other;
  return answer;
}

std::string refusal_in_words(const std::string& reason, const std::string& ask) {
  return fmt::format("I cannot help with that: {}.", reason) + (ask.empty() ? "" : fmt::format(" Ask {}.", ask));
}

std::string in_words(const json& answer) {
  if (stopped_by_rails(answer)) return refusal_in_words(answer["guard"]["reason"].get<std::string>(), answer["guard"].value("ask", ""));
  std::string text;
  const auto ranked = [&](const json& list) {
    for (size_t i = 0; i < std::min<size_t>(3, list.size()); ++i)
      text += fmt::format("{}. {} ({:.0f} %)\n", i + 1, list[i]["name"].get<std::string>(), 100 * list[i]["p"].get<double>());
  };
  const bool unsure = answer["abstain"].get<bool>();
  if (answer.contains("labels")) {
    if (unsure) text = "I am not sure enough. The likeliest would be:\n";
    ranked(answer["labels"]);
    return text;
  }
  if (answer["engineers"].empty()) return "I know no engineers.";
  if (unsure) text = "I am not sure enough to send this to anyone. The likeliest would be:\n";
  ranked(answer["engineers"]);
  if (!answer["components"].empty())
    text += fmt::format("Component: {} ({:.0f} %)\n", answer["components"][0]["name"].get<std::string>(), 100 * answer["components"][0]["p"].get<double>());
  for (const auto& bug : answer["why"]["similar"])
    text += fmt::format("Like {} ({}): {}\n", bug["id"].get<std::string>(), bug["engineer"].get<std::string>(), bug["text"].get<std::string>());
  return text;
}

nlohmann::ordered_json verdict_object(const Verdict& verdict) {
  using Json = nlohmann::ordered_json;
  return {{"allowed", verdict.allowed}, {"rail", verdict.rail.empty() ? Json() : Json(verdict.rail)}, {"score", verdict.score ? Json(*verdict.score) : Json()},
          {"reason", verdict.reason}, {"watched", verdict.watched}, {"ms", verdict.ms}};
}

}  // namespace ingot
