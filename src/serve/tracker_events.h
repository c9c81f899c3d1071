// What a tracker's webhook says when a bug goes to somebody else: the shapes of Bugzilla, GitHub and Jira.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace ingot {

struct Reassignment {
  std::string tracker;                     // "bugzilla", "github", "jira"
  std::string bug;                         // its number or key
  std::string text, engineer, component;   // text: title and, where the event has it, description
  std::string person;                      // who reassigned it
  int64_t time = 0;                        // seconds since 1970; 0: not told
};

// Empty if the event is another than a (re)assignment to somebody; `tracker` then names whose it is, or is empty for a shape that is
// no tracker's. Any JSON is allowed.
std::optional<Reassignment> read_tracker_event(const nlohmann::ordered_json& event, std::string* tracker);

}  // namespace ingot
