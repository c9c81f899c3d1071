#include "serve/service.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "core/error.h"
#include "foundry/flywheel.h"
#include "guard/private_data.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;

// A failure that has an HTTP status of its own.
struct Refusal {
  int status;
  std::string message;
};

int64_t now() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

json parsed(const std::string& body) {
  json object = json::parse(body, [](int depth, auto, auto&) {
    if (depth > kDeepest) throw Refusal{400, "the body is nested too deeply"};
    return true;
  }, false);
  if (!object.is_object()) throw Refusal{400, "the body must be a JSON object"};
  return object;
}

// A body's "input" as texts.
std::vector<std::string> inputs_of(const json& body) {
  const json input = body.value("input", json());
  if (input.is_string()) return {input.get<std::string>()};
  if (input.is_array() && std::all_of(input.begin(), input.end(), [](const json& one) { return one.is_string(); })) return input.get<std::vector<std::string>>();
  throw Refusal{400, "\"input\" must be a text or a list of texts"};
}

bool stopped(const json& answer) { return answer.contains("guard") && !answer["guard"]["allowed"].get<bool>(); }

json object_of(const Verdict& verdict) {
  return {{"allowed", verdict.allowed}, {"rail", verdict.rail.empty() ? json() : json(verdict.rail)}, {"score", verdict.score ? json(*verdict.score) : json()},
          {"reason", verdict.reason}, {"watched", verdict.watched}, {"ms", verdict.ms}};
}

// The ranking as a person would say it.
std::string in_words(const json& answer) {
  if (stopped(answer)) {
    std::string text = fmt::format("I cannot help with that: {}.", answer["guard"]["reason"].get<std::string>());
    if (answer["guard"].contains("ask")) text += fmt::format(" Ask {}.", answer["guard"]["ask"].get<std::string>());
    return text;
  }
  if (answer.contains("labels")) {
    std::string text = answer["abstain"].get<bool>() ? "I am not sure enough. The likeliest would be:\n" : "";
    for (size_t i = 0; i < std::min<size_t>(3, answer["labels"].size()); ++i) {
      text += fmt::format("{}. {} ({:.0f} %)\n", i + 1, answer["labels"][i]["name"].get<std::string>(), 100 * answer["labels"][i]["p"].get<double>());
    }
    return text;
  }
  const auto& engineers = answer["engineers"];
  if (engineers.empty()) return "I know no engineers.";
  std::string text;
  if (answer["abstain"].get<bool>()) text = "I am not sure enough to send this to anyone. The likeliest would be:\n";
  for (size_t i = 0; i < std::min<size_t>(3, engineers.size()); ++i) {
    text += fmt::format("{}. {} ({:.0f} %)\n", i + 1, engineers[i]["name"].get<std::string>(), 100 * engineers[i]["p"].get<double>());
  }
  if (!answer["components"].empty()) {
    text += fmt::format("Component: {} ({:.0f} %)\n", answer["components"][0]["name"].get<std::string>(), 100 * answer["components"][0]["p"].get<double>());
  }
  for (const auto& bug : answer["why"]["similar"]) {
    text += fmt::format("Like {} ({}): {}\n", bug["id"].get<std::string>(), bug["engineer"].get<std::string>(), bug["text"].get<std::string>());
  }
  return text;
}

}  // namespace

std::string Service::error_body(int status, std::string_view message) {
  const char* type = status == 404 ? "not_found_error" : status < 500 ? "invalid_request_error" : "server_error";
  const json body = {{"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", status}}}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

Service::Service(std::vector<std::shared_ptr<const Ai>> ais, std::filesystem::path data) : data_(std::move(data)) {
  for (auto& ai : ais) {
    if (first_.empty()) first_ = ai->name();
    const std::string name = ai->name();
    if (!ais_.emplace(name, std::move(ai)).second) {
      throw Error(ErrorKind::usage, fmt::format("two of the files are named \"{}\"", name), "", "give each recipe its own name");
    }
  }
  for (const auto& [name, ai] : ais_) {
    if (!data_.empty()) logs_[name] = std::make_unique<FeedbackLog>(data_ / name / "feedback.jsonl");
  }
  session_ = fmt::format("{:08x}", std::random_device()());
  renew_router();
}

void Service::renew_router() {
  routed_.clear();
  std::vector<std::shared_ptr<const Rails>> rails;
  for (const auto& [name, ai] : ais_) {
    routed_.push_back(name);
    rails.emplace_back(ai, &ai->rails());
  }
  router_ = std::make_shared<const Router>(std::move(rails));
}

std::string Service::other_ai(const std::string& text, const std::string& not_this) const {
  std::shared_ptr<const Router> router;
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    router = router_;
    names = routed_;
  }
  if (names.size() < 2) return "";
  const Route route = router->route(text);
  return route.best && names[*route.best] != not_this ? names[*route.best] : "";
}

Service::Reply Service::guard_check(const json& body) {
  const std::shared_ptr<const Ai> ai = find(body);
  json data = json::array();
  for (const std::string& text : inputs_of(body)) {
    const Verdict verdict = ai->rails().check(text);
    json one = object_of(verdict);
    one["index"] = data.size();
    if (verdict.rail == "topic") {
      if (const std::string other = other_ai(text, ai->name()); !other.empty()) one["ask"] = other;
    }
    data.push_back(std::move(one));
  }
  return {200, json{{"object", "list"}, {"model", ai->name()}, {"ai", ai->hash()}, {"data", data}}.dump(-1, ' ', false, json::error_handler_t::replace)};
}

Service::Reply Service::route_question(const json& body) {
  std::shared_ptr<const Router> router;
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    router = router_;
    names = routed_;
  }
  json data = json::array();
  for (const std::string& text : inputs_of(body)) {
    const Route route = router->route(text);
    json scores = json::object();
    for (size_t i = 0; i < names.size(); ++i) scores[names[i]] = route.scores[i];
    data.push_back({{"index", data.size()}, {"ai", route.best ? json(names[*route.best]) : json()}, {"scores", scores}});
  }
  return {200, json{{"object", "list"}, {"data", data}}.dump()};
}

std::string Service::answer_id(const char* prefix) { return fmt::format("{}-{}{:08x}", prefix, session_, answers_++); }

Service::~Service() {
  if (turning_.joinable()) turning_.join();
}

std::shared_ptr<const Ai> Service::find(const json& body) const {
  std::lock_guard lock(mutex_);
  if (!body.contains("model")) return ais_.at(first_);
  if (!body["model"].is_string()) throw Refusal{400, "\"model\" must be a text"};
  const auto found = ais_.find(body["model"].get<std::string>());
  if (found == ais_.end()) throw Refusal{404, fmt::format("there is no model \"{}\"; see /v1/models", body["model"].get<std::string>())};
  return found->second;
}

void Service::remember(const std::string& id, const std::string& model, const std::string& text) {
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

Service::Reply Service::feedback(const json& body) {
  if (data_.empty()) throw Refusal{409, "feedback is not kept here: start with --data DIR"};
  const auto text_of = [&](const char* key) -> std::string {
    const json value = body.value(key, json());
    if (value.is_null()) return "";
    if (!value.is_string()) throw Refusal{400, fmt::format("\"{}\" must be a text", key)};
    return value.get<std::string>();
  };
  std::string model, text;
  if (const std::string id = text_of("id"); !id.empty()) {
    std::lock_guard lock(mutex_);
    const auto found = answered_.find(id);
    if (found == answered_.end()) throw Refusal{404, fmt::format("there is no answer \"{}\", or it is too long ago: send model, input and label", id)};
    model = found->second.model;
    text = found->second.text;
  } else {
    model = find(body)->name();
    text = text_of("input");
  }
  const json label = body.value("label", json());
  std::string engineer, component;
  if (label.is_string()) {
    engineer = label.get<std::string>();
  } else if (label.is_object()) {
    engineer = label.value("engineer", json()).is_string() ? label["engineer"].get<std::string>() : "";
    component = label.value("component", json()).is_string() ? label["component"].get<std::string>() : "";
  }
  if (text.empty() || engineer.empty()) throw Refusal{400, "feedback needs \"id\" or \"input\", and a \"label\": the engineer's name, or {\"engineer\", \"component\"}"};
  // What must not leave is taken out before anything is stored, so that no later version can learn it.
  text = mask_private_data(text);
  const std::string id = answer_id("feedback");
  const json line = {{"id", id}, {"text", text}, {"engineer", engineer}, {"component", component}, {"who", text_of("user")}, {"time", now()}};
  logs_.at(model)->append(line.dump(-1, ' ', false, json::error_handler_t::replace));
  return {202, json{{"id", id}, {"model", model}, {"object", "feedback"}}.dump()};
}

void Service::run_turn(std::string name) {
  json report;
  try {
    std::shared_ptr<const Ai> champion = find({{"model", name}});
    std::vector<Correction> corrections;
    for (const std::string& line : logs_.at(name)->lines()) {
      const json one = json::parse(line, nullptr, false);
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
      std::lock_guard lock(mutex_);
      ais_[name] = std::move(next);
      renew_router();
    }
  } catch (const std::exception& error) {
    report = {{"promoted", false}, {"verdict", std::string("the turn failed, the champion stays: ") + error.what()}};
  }
  std::lock_guard lock(mutex_);
  turns_[name] = report.dump(-1, ' ', false, json::error_handler_t::replace);
  busy_ = false;
}

Service::Reply Service::fly(const HttpRequest& request) {
  if (data_.empty()) throw Refusal{409, "there is no flywheel here: start with --data DIR"};
  if (request.method == "GET") {
    json result = {{"turning", busy_.load()}, {"turns", json::object()}};
    std::lock_guard lock(mutex_);
    for (const auto& [name, report] : turns_) result["turns"][name] = json::parse(report);
    return {200, result.dump()};
  }
  const auto ai = find(parsed(request.body));
  const std::string name = ai->name();
  if (ai->kind() != "triage") throw Refusal{409, fmt::format("the flywheel does not turn AIs of kind \"{}\" yet", ai->kind())};
  if (busy_.exchange(true)) throw Refusal{409, "a turn is under way; see GET /v1/fly"};
  if (turning_.joinable()) turning_.join();
  turning_ = std::thread([this, name] { run_turn(name); });
  return {202, json{{"model", name}, {"turning", true}}.dump()};
}

Service::Reply Service::classify(const json& body) {
  const std::shared_ptr<const Ai> held = find(body);
  const Ai& ai = *held;
  const std::vector<std::string> inputs = inputs_of(body);
  json data = json::array();
  for (size_t i = 0; i < inputs.size(); ++i) {
    json one = ai.answer(inputs[i]);
    const bool triage = ai.kind() == "triage";
    json probs = json::array();
    for (const auto& candidate : one[triage ? "engineers" : "labels"]) probs.push_back(candidate["p"]);
    one["index"] = i;
    if (triage) one["label"] = one["engineers"].empty() ? json() : one["engineers"][0]["name"];
    one["probs"] = probs;
    one["num_classes"] = triage ? ai.triage().engineers().size() : ai.classifier().labels().size();
    if (stopped(one) && one["guard"]["rail"] == "topic") {
      if (const std::string other = other_ai(inputs[i], ai.name()); !other.empty()) one["guard"]["ask"] = other;
    }
    data.push_back(std::move(one));
  }
  const std::string id = answer_id("classify");
  if (inputs.size() == 1) remember(id, ai.name(), inputs[0]);
  const json reply = {{"id", id}, {"object", "list"}, {"created", now()}, {"model", ai.name()}, {"ai", ai.hash()}, {"data", data}};
  return {200, reply.dump(-1, ' ', false, json::error_handler_t::replace)};
}

Service::Reply Service::chat(const json& body) {
  const std::shared_ptr<const Ai> held = find(body);
  const Ai& ai = *held;
  const json messages = body.value("messages", json());
  if (!messages.is_array() || messages.empty()) throw Refusal{400, "\"messages\" must be a list with at least one message"};
  std::string text;
  for (const json& message : messages) {
    if (!message.is_object() || message.value("role", json()) != "user") continue;
    const json content = message.value("content", json());
    if (content.is_string()) {
      text = content.get<std::string>();
    } else if (content.is_array()) {
      text.clear();
      for (const json& part : content) {
        if (part.is_object() && part.value("type", json()) == "text" && part.value("text", json()).is_string()) text += part["text"].get<std::string>();
      }
    }
  }
  if (text.empty()) throw Refusal{400, "no message of the user holds a text"};
  json result = ai.answer(text);
  const bool declined = stopped(result);
  if (declined && result["guard"]["rail"] == "topic") {
    if (const std::string other = other_ai(text, ai.name()); !other.empty()) result["guard"]["ask"] = other;
  }
  const std::string answer = in_words(result), id = answer_id("chatcmpl");
  const json guard = result.value("guard", json());
  const char* finish = declined ? "content_filter" : "stop";
  remember(id, ai.name(), text);
  // A ranking is not generated token by token: usage counts words of the question, and says nothing of the answer.
  if (body.value("stream", json()) == true) {
    std::string events;
    const auto event = [&](const json& delta, const json& finish) {
      const json chunk = {{"id", id}, {"object", "chat.completion.chunk"}, {"created", now()}, {"model", ai.name()},
                          {"choices", {{{"index", 0}, {"delta", delta}, {"finish_reason", finish}}}}};
      events += "data: " + chunk.dump(-1, ' ', false, json::error_handler_t::replace) + "\n\n";
    };
    event({{"role", "assistant"}, {"content", ""}}, nullptr);
    event({{"content", answer}}, nullptr);
    event(json::object(), finish);
    return {200, events + "data: [DONE]\n\n", "text/event-stream"};
  }
  const json reply = {{"id", id}, {"object", "chat.completion"}, {"created", now()}, {"model", ai.name()}, {"system_fingerprint", ai.hash().substr(0, 16)},
                      {"choices", {{{"index", 0}, {"message", {{"role", "assistant"}, {"content", answer}}}, {"finish_reason", finish}}}}, {"guard", guard},
                      {"usage", {{"prompt_tokens", 0}, {"completion_tokens", 0}, {"total_tokens", 0}}}};
  return {200, reply.dump(-1, ' ', false, json::error_handler_t::replace)};
}

Service::Reply Service::route(const HttpRequest& request) {
  const std::string& path = request.path;
  const bool get = request.method == "GET" || request.method == "HEAD", post = request.method == "POST";
  const auto only = [](bool allowed) {
    if (!allowed) throw Refusal{405, "this route does not take that method"};
  };
  if (path == "/health" || path == "/v1/health/live" || path == "/v1/health/ready") return only(get), Reply{200, "{\"status\":\"ready\"}"};
  if (path == "/v1/version") return only(get), Reply{200, json{{"version", INGOT_VERSION}}.dump()};
  if (path == "/v1/models") {
    only(get);
    std::lock_guard lock(mutex_);
    json list = json::array();
    for (const auto& [name, ai] : ais_) list.push_back({{"id", name}, {"object", "model"}, {"created", 0}, {"owned_by", "local"}, {"ai", ai->hash()}});
    return {200, json{{"object", "list"}, {"data", list}}.dump()};
  }
  if (path == "/v1/metadata") {
    only(get);
    std::lock_guard lock(mutex_);
    json list = json::array();
    for (const auto& [name, ai] : ais_) {
      list.push_back({{"name", name}, {"kind", ai->kind()}, {"hash", ai->hash()}, {"report", json::parse(ai->archive().text("report.json"))}});
    }
    return {200, json{{"version", INGOT_VERSION}, {"ais", list}}.dump()};
  }
  if (path == "/classify" || path == "/v1/classify") return only(post), classify(parsed(request.body));
  if (path == "/v1/chat/completions") return only(post), chat(parsed(request.body));
  if (path == "/v1/guard/check") return only(post), guard_check(parsed(request.body));
  if (path == "/v1/route") return only(post), route_question(parsed(request.body));
  if (path == "/v1/feedback") return only(post), feedback(parsed(request.body));
  if (path == "/v1/fly") return only(get || post), fly(request);
  throw Refusal{404, fmt::format("there is no route {}", path)};
}

void Service::handle(const std::shared_ptr<HttpExchange>& exchange) {
  Reply reply;
  try {
    reply = route(exchange->request());
  } catch (const Refusal& refusal) {
    reply = {refusal.status, error_body(refusal.status, refusal.message)};
  } catch (const Error& error) {
    reply = {error.kind == ErrorKind::input ? 400 : 500, error_body(error.kind == ErrorKind::input ? 400 : 500, error.what())};
  } catch (const std::exception&) {
    reply = {500, error_body(500, "the answer failed")};
  }
  exchange->send(reply.status, reply.type, reply.body);
}

}  // namespace ingot
