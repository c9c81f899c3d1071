// Kinds "classify" and "triage": a large model's trunk teaches a small one who or what a text is for; the small one then reads for the AI.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "foundry/distil/distil_chat.h"

namespace ingot {

// The teacher is a classifier over plan.teacher's trunk and the word vectors; each text gets its opinion by one that had not seen that text.
// The student is cut from the teacher's trunk and learns those opinions and the labels (of triage the engineers). Some records it never
// sees, so that the AI built over it can weigh it: of a classifier one text in eight, of triage those that weigh its signals anyway.
// The report is as distil_chat's, with accuracy on held-out texts (of triage the engineer's top-1) as quality, tokens read a second as
// speed, and words_alone: the same AI without any trunk. plan.on and top_k are not used.
nlohmann::json distil_labels(const Recipe& recipe, const DistilPlan& plan, const std::filesystem::path& out, const std::function<void(const std::string&)>& say);

}  // namespace ingot
