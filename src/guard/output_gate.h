// The release gate of an AI with rails: an answer is held by the sentence, judged, and released or replaced.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "guard/rails.h"
#include "runtime/release_gate.h"

namespace ingot {

// What an answer is judged beside.
struct AnswerContext {
  std::string question;                // what was asked, for rails that compare
  std::vector<std::string> documents;  // texts that the answer must rest on; empty: it need not rest on any
};

// Never null: an AI whose rails do not look at output gets a gate that lets everything pass. What leaves does not depend on how
// the text was cut into pieces. Private data that is masked is masked across pieces; a sentence that the documents do not bear
// out is left out and the rest goes on; anything else that blocks ends the answer with its reason.
std::unique_ptr<ReleaseGate> make_release_gate(std::shared_ptr<const Rails> rails, AnswerContext context = {});

}  // namespace ingot
