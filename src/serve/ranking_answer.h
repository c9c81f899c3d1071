// The answers of AIs that rank (triage, classify), and what the rails said about a question.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ingot {

class Ai;
struct Verdict;
class Subjects;

// Ai::answer with what the same person asked before, and of a text that is another AI's subject, which one to ask.
nlohmann::json ranking_answer(const Ai& ai, const std::string& name, const std::string& text, const Subjects& subjects, std::span<const std::string> earlier = {});
bool stopped_by_rails(const nlohmann::json& answer);
std::string in_words(const nlohmann::json& answer);  // as a person would say it

// A refusal as a person would say it; ask: the AI to ask instead, may be empty.
std::string refusal_in_words(const std::string& reason, const std::string& ask);
nlohmann::ordered_json verdict_object(const Verdict& verdict);

}  // namespace ingot
