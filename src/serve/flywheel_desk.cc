#include "serve/flywheel_desk.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "foundry/ai.h"
#include "foundry/flywheel.h"
#include "guard/private_data.h"
#include "serve/call.h"
#include "serve/model_registry.h"
#include "serve/refusal.h"
#include "serve/subjects.h"

namespace ingot {

FlywheelDesk::FlywheelDesk(std::filesystem::path data, ModelRegistry& models, Subjects& subjects)
    : data_(std::move(data)), models_(models), subjects_(subjects) {
  if (data_.empty()) return;
  for (const auto& one : models_.list())
    if (one.ai) logs_[one.name] = std::make_unique<FeedbackLog>(data_ / one.name / "feedback.jsonl");
}

FlywheelDesk::~FlywheelDesk() {
  if (turning_.joinable()) turning_.join();
}

void FlywheelDesk::remember(const std::string& id, const std::string& model, const std::string& text) {
  constexpr size_t kRemembered = 10000, kLongest = 64 << 10;
  if (data_.empty() || text.size() > kLongest) return;
  std::lock_guard lock(mutex_);
  answered_[id] = {model, text};
  order_.push_back(id);
  if (order_.size() > kRemembered) {
    answered_.erase(order_.front());
    order_.pop_front();
  }
}

Json FlywheelDesk::feedback(const Json& body, const std::string& new_id) {
  if (data_.empty()) refuse(409, "feedback is not kept here: start with --data DIR");
  std::string model, text;
  if (const std::string id = text_field(body, "id"); !id.empty()) {
    std::lock_guard lock(mutex_);
    const auto found = answered_.find(id);
    if (found == answered_.end()) refuse(404, fmt::format("there is no answer \"{}\", or it is too long ago: send model, input and label", id));
    model = found->second.model;
    text = found->second.text;
  } else {
    model = text_field(body, "model", models_.first());
    models_.ai(model);  // 404 if there is none
    text = text_field(body, "input");
  }
  std::string engineer, component;
  if (const Json* label = field(body, "label")) {
    if (label->is_string()) engineer = label->get<std::string>();
    if (label->is_object()) {
      engineer = text_field(*label, "engineer");
      component = text_field(*label, "component");
    }
  }
  if (text.empty() || engineer.empty()) refuse(400, "feedback needs \"id\" or \"input\", and a \"label\": the engineer's name, or {\"engineer\", \"component\"}");
  // What must not leave is taken out before anything is stored, so that no later version can learn it.
  text = mask_private_data(text);
  const int64_t now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const Json line = {{"id", new_id}, {"text", text}, {"engineer", engineer}, {"component", component}, {"who", text_field(body, "user")}, {"time", now}};
  const auto log = logs_.find(model);
  if (log == logs_.end()) refuse(409, fmt::format("\"{}\" is a plain model: feedback is for AIs", model));
  log->second->append(dump(line));
  return {{"id", new_id}, {"model", model}, {"object", "feedback"}};
}

void FlywheelDesk::turn_one(std::string name) {
  nlohmann::json report;
  try {
    const std::shared_ptr<const Ai> champion = models_.ai(name);
    std::vector<Correction> corrections;
    for (const std::string& line : logs_.at(name)->lines()) {
      const nlohmann::json one = nlohmann::json::parse(line, nullptr, false);
      if (!one.is_object()) continue;
      corrections.push_back({one.value("text", ""), one.value("engineer", ""), one.value("component", ""), one.value("who", ""), one.value("time", int64_t{0})});
    }
    const auto folder = data_ / name / "versions";
    std::filesystem::create_directories(folder);
    size_t number = 1;
    while (std::filesystem::exists(folder / fmt::format("{:04}.ingot", number))) ++number;
    const auto file = folder / fmt::format("{:04}.ingot", number);
    report = turn(*champion, corrections, file);
    if (report["promoted"].get<bool>()) {
      auto next = Ai::open(file);
      report["challenger"]["hash"] = next->hash();
      report["file"] = file.string();
      models_.replace(name, std::move(next));
      subjects_.renew(models_);
    }
  } catch (const std::exception& error) {
    report = {{"promoted", false}, {"verdict", std::string("the turn failed, the champion stays: ") + error.what()}};
  } catch (const Refusal& refusal) {
    report = {{"promoted", false}, {"verdict", "the turn failed, the champion stays: " + refusal.message}};
  }
  std::lock_guard lock(mutex_);
  turns_[name] = report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  busy_ = false;
}

void FlywheelDesk::start_turn(const std::string& model) {
  if (data_.empty()) refuse(409, "there is no flywheel here: start with --data DIR");
  const auto ai = models_.ai(model);
  const std::string name = model.empty() ? models_.first() : model;
  if (!ai) refuse(409, fmt::format("\"{}\" is a plain model: the flywheel turns AIs", name));
  if (ai->kind() != "triage") refuse(409, fmt::format("the flywheel does not turn AIs of kind \"{}\" yet", ai->kind()));
  if (busy_.exchange(true)) refuse(409, "a turn is under way; see GET /v1/fly");
  std::lock_guard lock(mutex_);
  if (turning_.joinable()) turning_.join();  // it has ended: busy_ is the last that it sets
  turning_ = std::thread([this, name] { turn_one(name); });
}

Json FlywheelDesk::turns() const {
  if (data_.empty()) refuse(409, "there is no flywheel here: start with --data DIR");
  Json result = {{"turning", busy_.load()}, {"turns", Json::object()}};
  std::lock_guard lock(mutex_);
  for (const auto& [name, report] : turns_) result["turns"][name] = Json::parse(report);
  return result;
}

}  // namespace ingot
