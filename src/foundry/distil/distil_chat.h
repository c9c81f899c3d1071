// From a large chat model a small one: pruned to size, taught by the large one's logits or texts, quantised, judged beside it.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "foundry/distil/text_teacher.h"
#include "foundry/recipe.h"
#include "tensor/element_type.h"

namespace ingot {

struct DistilPlan {
  std::string teacher;        // a model, a chat AI (NAME.ingot) with its adapter, or the address of an OpenAI-compatible API
  RemoteTeacher remote;       // what more an address needs
  std::string cut_from;       // the model that the student is cut from; empty: the teacher. With another one only its texts teach
  std::string student;        // "60M", "16MB", "200tok/s"
  std::string on = "logits";  // or "text": the teacher's own answers
  int64_t steps = 0;          // 0: as the recipe's epochs say
  int64_t top_k = 32;
  double soft = 0.7, temperature = 1, rate = 5e-4;
  ElementType type = ElementType::kQ8_0;  // of the student's matrices at last
  bool alone = true;          // train the same student without the teacher too
};

// A teacher of another vocabulary, or behind an address, teaches by its texts a student that is cut from a model here.
// The report: teacher, student, student_alone, each with quality (ROUGE-L on held-out questions), perplexity, bytes, tokens_per_s, memory
// (bytes of weights and of a cache of 1,024 tokens), parameters; and what was cut. Writes `out`; states beside it let an interrupted run
// go on. Throws Error for a teacher without chat template, a size that cannot be, data that do not fit.
nlohmann::json distil_chat(const Recipe& recipe, const DistilPlan& plan, const std::filesystem::path& out, const std::function<void(const std::string&)>& say);

// Adds what a million tokens cost, one request at a time, on this machine at that price an hour.
void price_distilled(nlohmann::json& report, double price_per_hour);

std::string distil_table(const nlohmann::json& report);
std::string distil_svg(const nlohmann::json& report);  // quality against size

}  // namespace ingot
