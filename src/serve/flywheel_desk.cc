#include "serve/flywheel_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "foundry/ai.h"
#include "foundry/fly/fly_folder.h"
#include "foundry/fly/fly_kind.h"
#include "guard/private_data.h"
#include "serve/access.h"
#include "serve/call.h"
#include "serve/model_registry.h"
#include "serve/refusal.h"
#include "serve/subjects.h"
#include "serve/tracker_events.h"

namespace ingot {
namespace {

constexpr size_t kRememberedAnswers = 10000, kRememberedBytes = 64 << 20;
constexpr size_t kLongestFeedback = 1 << 20, kLongestName = 512;  // bytes

// The AI's first name for a text; empty where it gives none.
std::string first_said(const Ai& ai, const std::string& text) {
  if (!FlyKind::ranks(ai.kind())) return "";
  try {
    const nlohmann::json answer = ai.classify(text);
    if (ai.kind() == "classify") return answer["label"];
    return answer["engineers"].empty() ? "" : answer["engineers"][0]["name"].get<std::string>();
  } catch (const Error&) {
    return "";
  }
}

bool has_name(const std::vector<std::string>& sorted, const std::string& name) { return std::binary_search(sorted.begin(), sorted.end(), name); }

// A name that the AI has is what it predicts anyway; any other loses what is private in it.
std::string scrubbed_name(const Ai& ai, const std::string& name) {
  const bool known = (ai.kind() == "triage" && (has_name(ai.triage().engineers(), name) || has_name(ai.triage().components(), name))) ||
                     (ai.kind() == "classify" && has_name(ai.classifier().labels(), name));
  return known ? name : mask_private_data(name);
}

}  // namespace

FlywheelDesk::FlywheelDesk(std::filesystem::path data, FlywheelSite site, ModelRegistry& models, Subjects& subjects)
    : site_(std::move(site)), models_(models), subjects_(subjects) {
  if (data.empty()) return;
  folder_ = std::make_unique<FlyFolder>(std::move(data), true);
  for (const auto& one : models_.list()) {
    if (!one.ai) continue;
    int64_t number = -1;
    const auto file = folder_->adopt(one.name, *one.ai, &number);
    if (auto current = Ai::open(file); current->hash() != one.hash) {
      std::fprintf(stderr, "ingot: %s: version %lld of the data folder is served, not the file that was named; ingot fly history %s says why\n", one.name.c_str(), static_cast<long long>(number), one.name.c_str());
      models_.replace(one.name, std::move(current));
    }
    serving_[one.name] = number;
    follow(one.name);
  }
  watcher_ = std::thread([this] { watch(); });
}

void FlywheelDesk::took(const std::string& name) {
  if (!folder_) return;
  const auto ai = models_.ai(name);
  const int64_t number = folder_->take(name, *ai);
  std::lock_guard lock(mutex_);
  serving_[name] = number;
}

FlyFolder& FlywheelDesk::folder() const {
  if (!folder_) refuse(409, "nothing is kept here: start with --data DIR");
  return *folder_;
}

std::string FlywheelDesk::name_of(const std::string& model) const {
  const auto ai = models_.ai(model);  // 404 if there is none
  const std::string name = model.empty() ? models_.first() : model;
  if (!ai) refuse(409, fmt::format("\"{}\" is a plain model: the flywheel is for AIs", name));
  return name;
}

void FlywheelDesk::remember(const std::string& id, const std::string& model, const std::string& text, std::string ai, const std::string& said) {
  if (!folder_ || text.size() > kLongestFeedback) return;
  if (ai.empty())
    if (const auto served = models_.ai(model)) ai = served->hash();
  std::shared_ptr<const Ai> beside;
  {
    std::lock_guard lock(mutex_);
    if (const auto trial = trials_.find(model); trial != trials_.end() && trial->second.share == 0) beside = trial->second.ai;
  }
  Answered answered{model, text, std::move(ai), said, beside && !said.empty() ? first_said(*beside, text) : ""};
  std::lock_guard lock(mutex_);
  if (!answered.beside.empty()) {
    Trial& trial = trials_[model];
    ++trial.asked;
    trial.same += answered.beside == said;
  }
  remembered_bytes_ += text.size();
  answered_[id] = std::move(answered);
  order_.push_back(id);
  while (order_.size() > kRememberedAnswers || remembered_bytes_ > kRememberedBytes) {
    const auto oldest = answered_.find(order_.front());
    remembered_bytes_ -= oldest->second.text.size();
    answered_.erase(oldest);
    order_.pop_front();
  }
}

std::shared_ptr<const Ai> FlywheelDesk::on_trial(const std::string& model, const std::string& id) {
  if (!folder_) return nullptr;
  std::lock_guard lock(mutex_);
  const auto found = trials_.find(model);
  if (found == trials_.end() || found->second.share <= 0) return nullptr;
  return static_cast<double>(std::hash<std::string>()(id) % 10000) < found->second.share * 10000 ? found->second.ai : nullptr;
}

Json FlywheelDesk::keep(Feedback record, const std::string& user, bool consent, const Caller& caller, const Ai& ai) {
  // What must not leave is taken out before anything is stored, so that no later version can learn it.
  record.text = mask_private_data(record.text);
  record.better = mask_private_data(record.better);
  for (std::string* name : {&record.engineer, &record.component, &record.label}) *name = scrubbed_name(ai, *name);
  record.said = scrubbed_name(ai, record.said);
  record.source = !caller.key.empty() || caller.user == "INGOT_API_KEY" ? caller.user : "local";
  record.person = user.empty() ? record.source : user;
  if (mask_private_data(record.person) != record.person) record.person = folder().feedback().pseudonym(record.person);
  record.consent = consent;
  for (const FlywheelSite::Source& one : site_.sources)
    if (one.name == record.source) record.consent = record.consent && one.consent;
  record.arrived = std::time(nullptr);
  const Json answer = {{"id", record.receipt}, {"object", "feedback"}, {"model", record.model}, {"kind", record.kind}, {"ai", record.ai}};
  folder().feedback().append(std::move(record));
  return answer;
}

Json FlywheelDesk::feedback(const Json& body, const std::string& receipt, const Caller& caller) {
  folder();
  Feedback record;
  record.receipt = receipt;
  if (const std::string id = text_field(body, "id"); !id.empty()) {
    std::lock_guard lock(mutex_);
    const auto found = answered_.find(id);
    if (found == answered_.end()) refuse(404, fmt::format("there is no answer \"{}\", or it is too long ago: send model, input and label", id.substr(0, 100)), "answer_not_found", "id");
    const Answered& answered = found->second;
    record.answer = id;
    record.model = answered.model;
    record.text = answered.text;
    record.ai = answered.ai;
    record.said = answered.said;
  } else {
    record.model = text_field(body, "model", models_.first());
    record.text = text_field(body, "input");
    record.ai = text_field(body, "ai");
    if (record.text.size() > kLongestFeedback) refuse(413, fmt::format("\"input\" has {} bytes, at most {} are kept", record.text.size(), kLongestFeedback), "", "input");
  }
  const auto ai = models_.ai(record.model);  // 404 if there is none
  if (!ai) refuse(409, fmt::format("\"{}\" is a plain model: feedback is for AIs", record.model));
  const bool ranks = FlyKind::ranks(ai->kind());
  if (record.answer.empty()) {
    if (!record.ai.empty() && record.ai != ai->hash() && !folder().versions().find_hash(record.model, record.ai))
      refuse(410, fmt::format("version {} of \"{}\" is not known here; leave \"ai\" out to say what the right answer is", record.ai.substr(0, 64), record.model), "version_not_found", "ai");
    if (record.ai.empty() || record.ai == ai->hash()) {
      record.ai = ai->hash();
      if (ranks) record.said = first_said(*ai, record.text);
    }
  }
  const Json* label = field(body, "label");
  record.better = text_field(body, "better");
  if (label && !ranks) {  // of an AI that converses the right answer is a text
    if (!label->is_string()) refuse_field("label", "the right answer of a chat AI is a text");
    if (record.better.empty()) record.better = label->get<std::string>();
    label = nullptr;
  }
  if (label) {
    std::string& name = ai->kind() == "classify" ? record.label : record.engineer;
    if (label->is_string()) name = label->get<std::string>();
    else if (label->is_object()) {
      name = text_field(*label, ai->kind() == "classify" ? "label" : "engineer");
      record.component = text_field(*label, "component");
    } else refuse_field("label", "\"label\" must be a name, or an object with \"engineer\" and \"component\" (triage) or \"label\" (classify)");
    for (const std::string* text : {&name, &record.component})
      if (text->size() > kLongestName) refuse(413, fmt::format("the name of \"label\" has {} bytes, at most {} are kept", text->size(), kLongestName), "", "label");
    if (name.empty()) refuse_field("label", "\"label\" names nobody");
    record.kind = "label";
    if (!record.said.empty()) record.agrees = name == record.said;
  } else if (const std::string rating = text_field(body, "rating"); !rating.empty()) {
    if (rating != "good" && rating != "bad") refuse_field("rating", "\"rating\" must be \"good\" or \"bad\"");
    if (record.answer.empty() && record.said.empty()) refuse_field("id", "a rating is about an answer: send its \"id\"");
    record.kind = rating;
    record.agrees = rating == "good";
    if (rating == "good" && ranks) (ai->kind() == "classify" ? record.label : record.engineer) = record.said;
  }
  if (record.better.size() > kLongestFeedback)
    refuse(413, fmt::format("\"better\" has {} bytes, at most {} are kept", record.better.size(), kLongestFeedback), "", "better");
  if (record.kind.empty() && !record.better.empty()) {
    record.kind = "text";
    if (!record.answer.empty()) record.agrees = 0;  // that answer was not the one wanted
  }
  if (record.kind.empty()) refuse(400, "feedback needs \"label\" (the right answer), \"rating\" (\"good\" or \"bad\") or \"better\" (a better text)");
  if (record.text.empty()) refuse(400, "feedback needs \"id\" (of an answer) or \"input\" (what was asked)");
  const std::string user = text_field(body, "user");
  if (user.size() > kLongestName) refuse(413, fmt::format("\"user\" has {} bytes, at most {} are kept", user.size(), kLongestName), "", "user");
  record.time = whole_field(body, "time", 0, 0, std::time(nullptr) + 86400);
  {
    std::lock_guard lock(mutex_);
    const auto answered = answered_.find(record.answer);
    const auto trial = trials_.find(record.model);
    if (record.kind == "label" && answered != answered_.end() && !answered->second.beside.empty() && trial != trials_.end()) {
      const std::string& name = record.label.empty() ? record.engineer : record.label;
      ++trial->second.known;
      trial->second.right += answered->second.beside == name;
      trial->second.champion_right += record.said == name;
    }
  }
  return keep(std::move(record), user, flag_field(body, "consent", true), caller, *ai);
}

Json FlywheelDesk::tracker(const std::string& model, const Json& body, const std::string& receipt, const Caller& caller) {
  folder();
  const auto ai = models_.ai(model);
  if (!ai || ai->kind() != "triage") refuse(409, fmt::format("\"{}\" is no AI of kind triage: reassignments say nothing to it", model));
  std::string tracker;
  const auto event = read_tracker_event(body, &tracker);
  if (tracker.empty()) refuse(400, "this is no event of Bugzilla's, GitHub's or Jira's webhooks that is known here");
  if (!event) return {{"object", "feedback"}, {"model", model}, {"tracker", tracker}, {"kept", false}, {"reason", "it assigns nobody"}};
  if (event->text.size() > kLongestFeedback) refuse(413, fmt::format("the bug's text has {} bytes, at most {} are kept", event->text.size(), kLongestFeedback));
  Feedback record;
  record.receipt = receipt;
  record.model = model.empty() ? models_.first() : model;
  record.kind = "reassigned";
  record.text = event->text;
  record.engineer = event->engineer.substr(0, kLongestName);
  record.component = event->component.substr(0, kLongestName);
  record.time = std::min<int64_t>(event->time, std::time(nullptr));
  record.ai = ai->hash();
  record.said = first_said(*ai, record.text);
  if (!record.said.empty()) record.agrees = record.said == record.engineer;
  Json answer = keep(std::move(record), event->person.substr(0, kLongestName), true, caller, *ai);
  answer["tracker"] = tracker;
  answer["kept"] = true;
  return answer;
}

Json FlywheelDesk::turns() const {
  FlyFolder& all = folder();
  Json result = {{"turning", false}, {"turns", Json::object()}};
  {
    std::lock_guard lock(mutex_);
    result["turning"] = !turning_.empty();
  }
  for (const auto& one : models_.list()) {
    if (!one.ai) continue;
    for (const FlyEvent& event : all.versions().events(one.name, "", 50)) {
      if (event.kind != "turn" && event.kind != "promoted" && event.kind != "candidate" && event.kind != "failed") continue;
      Json report = Json::parse(event.body, nullptr, false);
      if (!report.is_object() || !report.contains("verdict")) continue;
      report.erase("left_out");
      result["turns"][one.name] = std::move(report);
      break;
    }
  }
  return result;
}

Json FlywheelDesk::status(const std::string& model, bool texts) const {
  FlyFolder& all = folder();
  const std::string name = name_of(model);
  nlohmann::json found = all.status(name);
  if (const auto left_out = found.find("left_out"); texts && left_out != found.end() && !left_out->empty()) all.describe(name, *left_out);
  Json result = Json::parse(found.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::lock_guard lock(mutex_);
  const auto trial = trials_.find(name);
  if (trial != trials_.end() && !result["candidate"].is_null()) {
    const Trial& t = trial->second;
    result["candidate"]["beside"] = {{"asked", t.asked}, {"same", t.same}, {"known", t.known}, {"right", t.right}, {"champion_right", t.champion_right}};
  }
  return result;
}

Json FlywheelDesk::act(const std::string& model, const std::string& action, const std::vector<std::string>& receipts, const std::string& source) {
  FlyFolder& all = folder();
  const std::string name = name_of(model);
  nlohmann::json report;
  try {
    if (action == "rollback") report = all.roll_back(name);
    else if (action == "promote" || action == "withdraw") report = all.end_trial(name, action == "promote");
    else if (action == "accept" || action == "reject" || action == "undecide")
      report = all.decide(name, receipts, source, action == "accept" ? "accepted" : action == "reject" ? "rejected" : "");
    else refuse_field("action", "\"action\" must be turn, rollback, promote, withdraw, accept, reject or undecide");
  } catch (const Error& error) {
    if (error.kind == ErrorKind::input) refuse(409, error.what());
    throw;
  }
  follow(name);
  return Json::parse(report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Json FlywheelDesk::forget(const std::string& person) {
  return Json::parse(folder().forget(person).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace ingot
