// The release gate of an AI with rails.
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

// rails are kept alive by the gate. Never null: an AI whose rails do not look at output gets a gate that lets everything pass.
std::unique_ptr<ReleaseGate> make_release_gate(std::shared_ptr<const Rails> rails, AnswerContext context = {});

}  // namespace ingot
