#include "serve/tracker_events.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "foundry/sources/source.h"
#include "serve/call.h"

namespace ingot {
namespace {

const Json* inside_event(const Json& object, std::initializer_list<const char*> path) {
  const Json* at = &object;
  for (const char* key : path) {
    if (at->is_array() && !at->empty()) at = &at->front();
    if (!at->is_object()) return nullptr;
    const auto found = at->find(key);
    if (found == at->end() || found->is_null()) return nullptr;
    at = &*found;
  }
  return at;
}

// The first of these that is there, as a text.
std::string words_at(const Json& object, std::initializer_list<std::initializer_list<const char*>> paths) {
  for (const auto& path : paths) {
    const Json* value = inside_event(object, path);
    if (value && value->is_string() && !value->get_ref<const std::string&>().empty()) return value->get<std::string>();
    if (value && value->is_number_integer()) return value->dump();
  }
  return "";
}

std::string title_and_text(const std::string& title, const std::string& text) { return text.empty() ? title : title + "\n" + text; }

int64_t event_time(const std::string& text) {
  if (text.empty()) return 0;
  if (text.find_first_not_of("0123456789") == std::string::npos) return text.size() > 17 ? 0 : std::stoll(text) / (text.size() > 11 ? 1000 : 1);  // Jira counts milliseconds
  return parse_time(text).value_or(0);
}

bool nobody_is(const std::string& name) { return name.empty() || name.starts_with("nobody") || name == "Unassigned" || name == "unassigned"; }

std::string area_label(const Json& issue) {
  const Json* labels = inside_event(issue, {"labels"});
  std::string first;
  if (!labels || !labels->is_array()) return first;
  for (const Json& label : *labels) {
    const std::string name = label.is_string() ? label.get<std::string>() : words_at(label, {{"name"}});
    for (const std::string_view prefix : {"area", "component", "comp", "module", "team", "pkg"})
      if (name.starts_with(prefix) && name.size() > prefix.size() && std::string_view("/:-").find(name[prefix.size()]) != std::string_view::npos) return name;
    if (first.empty()) first = name;
  }
  return first;
}

}  // namespace

std::optional<Reassignment> read_tracker_event(const Json& event, std::string* tracker) {
  Reassignment r;
  tracker->clear();
  if (inside_event(event, {"bug"}) && inside_event(event, {"event"})) {
    r.tracker = *tracker = "bugzilla";
    const Json* changes = inside_event(event, {"event", "changes"});
    bool assigned = words_at(event, {{"event", "action"}}) == "create" || words_at(event, {{"event", "routing_key"}}).find("assigned_to") != std::string::npos;
    if (changes && changes->is_array())
      for (const Json& change : *changes) assigned |= words_at(change, {{"field"}}) == "assigned_to";
    const Json& bug = *inside_event(event, {"bug"});
    r.bug = words_at(bug, {{"id"}});
    r.engineer = words_at(bug, {{"assigned_to", "login"}, {"assigned_to", "real_name"}, {"assigned_to"}, {"assigned_to_detail", "email"}});
    r.component = words_at(bug, {{"component"}});
    r.text = title_and_text(words_at(bug, {{"summary"}}), words_at(bug, {{"description"}, {"comment", "body"}}));
    r.person = words_at(event, {{"event", "user", "login"}, {"event", "user", "real_name"}});
    r.time = event_time(words_at(event, {{"event", "time"}}));
    if (!assigned) return {};
  } else if (inside_event(event, {"webhookEvent"}) || inside_event(event, {"issue", "fields"})) {
    r.tracker = *tracker = "jira";
    const Json* items = inside_event(event, {"changelog", "items"});
    bool assigned = words_at(event, {{"webhookEvent"}}).ends_with("issue_created");
    if (items && items->is_array())
      for (const Json& item : *items) {
        if (words_at(item, {{"field"}}) != "assignee") continue;
        assigned = true;
        r.engineer = words_at(item, {{"toString"}, {"to"}});
      }
    if (!assigned || !inside_event(event, {"issue"})) return {};
    const Json& issue = *inside_event(event, {"issue"});
    if (const std::string name = words_at(issue, {{"fields", "assignee", "displayName"}, {"fields", "assignee", "name"}}); !name.empty()) r.engineer = name;
    r.bug = words_at(issue, {{"key"}, {"id"}});
    r.component = words_at(issue, {{"fields", "components", "name"}});
    r.text = title_and_text(words_at(issue, {{"fields", "summary"}}), words_at(issue, {{"fields", "description"}}));
    r.person = words_at(event, {{"user", "displayName"}, {"user", "name"}});
    r.time = event_time(words_at(event, {{"timestamp"}}));
  } else if (inside_event(event, {"issue"}) && inside_event(event, {"action"})) {
    r.tracker = *tracker = "github";
    const Json& issue = *inside_event(event, {"issue"});
    const std::string action = words_at(event, {{"action"}});
    if ((action != "assigned" && action != "opened") || inside_event(issue, {"pull_request"})) return {};
    r.engineer = words_at(event, {{"assignee", "login"}, {"issue", "assignee", "login"}, {"issue", "assignees", "login"}});
    r.bug = words_at(issue, {{"number"}, {"id"}});
    r.component = area_label(issue);
    r.text = title_and_text(words_at(issue, {{"title"}}), words_at(issue, {{"body"}}));
    r.person = words_at(event, {{"sender", "login"}});
    r.time = event_time(words_at(issue, {{"updated_at"}, {"created_at"}}));
  } else {
    return {};
  }
  if (nobody_is(r.engineer) || r.text.empty()) return {};
  return r;
}

}  // namespace ingot
