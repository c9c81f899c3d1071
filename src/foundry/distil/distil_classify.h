// Kind "classify": a large model's trunk teaches a small one which label a text has; the small one then reads for the classifier.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "foundry/distil/distil_chat.h"

namespace ingot {

// The teacher is the classifier that the recipe builds on plan.teacher; each training text gets its opinion by one that had not seen that
// text. The student is cut from the teacher's trunk and learns those opinions and the labels. The report is as distil_chat's, with
// accuracy on held-out texts as quality and tokens read a second as speed. plan.on, top_k are not used.
nlohmann::json distil_classify(const Recipe& recipe, const DistilPlan& plan, const std::filesystem::path& out, const std::function<void(const std::string&)>& say);

}  // namespace ingot
