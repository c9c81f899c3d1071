#include "serve/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/nearest.h"
#include "serve/refusal.h"
#include "text/utf8.h"

namespace ingot {
namespace {

constexpr int kDeepest = 64;
constexpr size_t kMostKeys = 1024;  // of one object: an ordered object looks through all its keys for each new one

// ": line 3, column 14" of the first fault. REQUIRES: the text is UTF-8 and no JSON.
std::string fault_of(const std::string& text) {
  try {
    (void)Json::parse(text);
  } catch (const Json::parse_error& fault) {
    const std::string_view before = std::string_view(text).substr(0, fault.byte ? fault.byte - 1 : 0);
    const size_t line = before.rfind('\n');
    return fmt::format(": line {}, column {}", 1 + std::count(before.begin(), before.end(), '\n'), before.size() - (line == before.npos ? 0 : line + 1) + 1);
  } catch (const Json::out_of_range&) {
    return ": a number in it is larger than any that can be kept";
  }
  return "";
}

Json parse_body(const std::string& text) {
  if (text.empty()) return Json::object();  // what is missing is then named
  std::vector<size_t> keys;
  Json object = Json::parse(text, [&](int depth, Json::parse_event_t event, const Json&) {
    if (depth > kDeepest) refuse(400, "the body is nested too deeply");
    if (event == Json::parse_event_t::object_start) keys.push_back(0);
    if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.empty() && ++keys.back() > kMostKeys)
      refuse(400, fmt::format("an object of the body has more than {} keys", kMostKeys));
    return true;
  }, false);
  if (object.is_discarded()) refuse(400, valid_utf8(text) ? "the body is not JSON" + fault_of(text) : "the body is not UTF-8, so it is no JSON", "invalid_json");
  if (!object.is_object()) refuse(400, "the body must be a JSON object", "invalid_json");
  return object;
}

// By route, the fields that its body's schema names; none where it takes any.
const std::vector<std::string>& fields_of(const ApiRoute& route) {
  static const std::map<std::string_view, std::vector<std::string>> all = [] {
    std::map<std::string_view, std::vector<std::string>> made;
    for (const ApiRoute& one : api_routes()) {
      if (one.request.empty()) continue;
      const Json properties = Json::parse(one.request).value("properties", Json::object());
      auto& names = made[one.request] = {};
      for (const auto& [name, schema] : properties.items()) names.push_back(name);
    }
    return made;
  }();
  static const std::vector<std::string> none;
  const auto found = all.find(route.request);
  return found == all.end() ? none : found->second;
}

// Clients send fields of other services, so none is refused; but a slip of the pen must not pass unseen.
std::string ignored_fields(const Json& body, const std::vector<std::string>& known) {
  constexpr size_t kMostTold = 16, kLongestTold = 64;
  std::string all;
  size_t told = 0;
  for (const auto& [name, value] : body.items()) {
    if (known.empty() || std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (told++ == kMostTold) return all + ", ...";
    std::string shown = name.substr(0, kLongestTold);
    for (char& c : shown)
      if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') c = '?';  // a header holds no line ends
    all += (all.empty() ? "" : ", ") + shown;
    if (name.size() > kLongestTold) continue;
    size_t best = std::min<size_t>(2, (name.size() + 1) / 3) + 1;
    const std::string* meant = nullptr;
    for (const std::string& one : known)
      if (const size_t distance = edit_distance(name, one); distance < best) best = distance, meant = &one;
    if (meant) all += " (" + *meant + "?)";
  }
  return all;
}

}  // namespace

Call::Call(std::shared_ptr<HttpExchange> exchange, const ApiRoute& route, std::string parameter, std::string id)
    : exchange_(std::move(exchange)), route_(route), parameter_(std::move(parameter)), id_(std::move(id)),
      created_(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count()),
      start_(std::chrono::steady_clock::now()) {
  usage.route = std::string(route.path);
  usage.status = 500;
}

Call::~Call() = default;

double Call::seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

const Json& Call::body() {
  if (!body_) {
    body_ = std::make_unique<Json>(parse_body(request().body));
    ignored_ = ignored_fields(*body_, fields_of(route_));
  }
  return *body_;
}

void Call::answered_by(const std::string& model, const std::string& ai) {
  usage.model = model;
  usage.ai = ai;
}

HttpHeaders Call::headers() const {
  HttpHeaders all{{"X-Request-Id", id_}};
  if (!usage.ai.empty()) all.push_back({"X-Ingot-AI", usage.ai});
  if (!ignored_.empty()) all.push_back({"X-Ingot-Ignored-Fields", ignored_});
  return all;
}

void Call::reply(const Json& body, int status) { reply_text("application/json", dump(body), status); }

void Call::reply_text(std::string_view type, std::string_view body, int status) {
  usage.status = status;
  exchange_->send(status, type, body, headers());
}

void Call::begin_events() {
  usage.status = 200;
  HttpHeaders all = headers();
  all.push_back({"Cache-Control", "no-cache"});
  all.push_back({"X-Accel-Buffering", "no"});  // nginx would hold the events back
  exchange_->begin(200, "text/event-stream", all);
}

bool Call::send_event(std::string_view event, const Json& data) {
  std::string text;
  if (!event.empty()) text.append("event: ").append(event).append("\n");
  return send_line(text + "data: " + dump(data));
}

bool Call::send_line(std::string_view line) { return exchange_->write(std::string(line) + "\n\n"); }

std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

const Json* field(const Json& body, const char* key) {
  const auto found = body.find(key);
  return found == body.end() || found->is_null() ? nullptr : &*found;
}

std::string text_field(const Json& body, const char* key, const std::string& otherwise) {
  const Json* value = field(body, key);
  if (!value) return otherwise;
  if (!value->is_string()) refuse_field(key, fmt::format("\"{}\" must be a text", key));
  return value->get<std::string>();
}

double number_field(const Json& body, const char* key, double otherwise, double least, double most) {
  const Json* value = field(body, key);
  if (!value) return otherwise;
  if (!value->is_number()) refuse_field(key, fmt::format("\"{}\" must be a number", key));
  const double number = value->get<double>();
  if (!(number >= least && number <= most)) refuse_field(key, fmt::format("\"{}\" is {}; it must be from {} to {}", key, number, least, most));
  return number;
}

int64_t whole_field(const Json& body, const char* key, int64_t otherwise, int64_t least, int64_t most) {
  const Json* value = field(body, key);
  if (!value) return otherwise;
  const double number = value->is_number() ? value->get<double>() : 0;
  if (!value->is_number() || number != std::floor(number)) refuse_field(key, fmt::format("\"{}\" must be a whole number", key));
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)))
    refuse_field(key, fmt::format("\"{}\" is {}; it must be from {} to {}", key, number, least, most));
  return static_cast<int64_t>(number);
}

bool flag_field(const Json& body, const char* key, bool otherwise) {
  const Json* value = field(body, key);
  if (!value) return otherwise;
  if (!value->is_boolean()) refuse_field(key, fmt::format("\"{}\" must be true or false", key));
  return value->get<bool>();
}

std::vector<std::string> texts_field(const Json& body, const char* key, size_t most) {
  const Json* value = field(body, key);
  std::vector<std::string> texts;
  if (value && value->is_string()) texts.push_back(value->get<std::string>());
  if (value && value->is_array()) {
    if (value->size() > most) refuse_field(key, fmt::format("\"{}\" has {} texts, at most {} are taken at once", key, value->size(), most));
    for (const Json& one : *value) {
      if (!one.is_string()) refuse_field(key, fmt::format("\"{}\" must be a text or a list of texts", key));
      texts.push_back(one.get<std::string>());
    }
  }
  if (!value || !(value->is_string() || value->is_array())) refuse_field(key, fmt::format("\"{}\" must be a text or a list of texts", key));
  return texts;
}

}  // namespace ingot
