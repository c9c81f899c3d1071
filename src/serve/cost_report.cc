#include "serve/cost_report.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

using Json = nlohmann::ordered_json;

double per_million(double dollars, const UsageSum& sum) { return sum.tokens() > 0 ? dollars * 1e6 / static_cast<double>(sum.tokens()) : 0; }

Json object(const CostLine& line) {
  Json out;
  if (!line.user.empty()) out["user"] = line.user;
  if (!line.model.empty()) out["model"] = line.model;
  if (!line.ai.empty()) out["ai"] = line.ai;
  out["requests"] = line.sum.requests;
  out["failed"] = line.sum.failed;
  out["prompt_tokens"] = line.sum.prompt_tokens;
  out["cached_tokens"] = line.sum.cached_tokens;
  out["generated_tokens"] = line.sum.generated_tokens;
  out["slot_seconds"] = line.sum.slot_seconds;
  out["share"] = line.share;
  out["dollars"] = line.dollars;
  out["dollars_per_million_tokens"] = per_million(line.dollars, line.sum);
  return out;
}

// RFC 4180; a leading "=", "+", "-" or "@" is a formula to spreadsheets, so it is put behind a quote.
std::string csv_field(const std::string& text) {
  std::string out = "\"";
  if (text.size() > 1 && std::string_view("=+-@\t").find(text[0]) != std::string_view::npos) out += "'";
  for (char c : text) {
    out += c;
    if (c == '"') out += '"';
  }
  return out + "\"";
}

}  // namespace

double CostReport::per_million_tokens() const { return per_million(dollars, all); }

std::string CostReport::json() const {
  Json out = {{"object", "cost"},     {"from", from},   {"until", until}, {"price_per_hour", price_per_hour}, {"currency", currency}, {"hours", hours},
              {"dollars", dollars}, {"dollars_per_million_tokens", per_million_tokens()}, {"requests", all.requests}, {"tokens", all.tokens()}};
  for (const auto& [name, list] : {std::pair{"users", &users}, {"ais", &ais}, {"lines", &lines}}) {
    out[name] = Json::array();
    for (const CostLine& line : *list) out[name].push_back(object(line));
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string CostReport::csv() const {
  std::string out = "user,model,ai,requests,failed,prompt_tokens,cached_tokens,generated_tokens,slot_seconds,share,dollars,dollars_per_million_tokens\n";
  for (const CostLine& line : lines)
    out += fmt::format("{},{},{},{},{},{},{},{},{:.3f},{:.6f},{:.6f},{:.6f}\n", csv_field(line.user), csv_field(line.model), csv_field(line.ai), line.sum.requests, line.sum.failed, line.sum.prompt_tokens,
                       line.sum.cached_tokens, line.sum.generated_tokens, line.sum.slot_seconds, line.share, line.dollars, per_million(line.dollars, line.sum));
  return out;
}

CostReport cost_report(UsageStore& usage, const std::vector<ApiKey>& keys, int64_t from, int64_t until, double price_per_hour, std::string currency) {
  CostReport report;
  report.from = from / 3600 * 3600;
  report.until = (until + 3599) / 3600 * 3600;
  report.price_per_hour = price_per_hour;
  report.currency = std::move(currency);
  report.hours = usage.uptime_seconds(from, until) / 3600;
  report.dollars = report.hours * price_per_hour;
  std::map<int64_t, std::string> names;
  for (const ApiKey& key : keys) names[key.id] = key.name;
  for (UsageRow& row : usage.rows(from, until)) {
    const auto name = names.find(row.key_id);
    report.all.add(row.sum);
    report.lines.push_back({name != names.end() ? name->second : row.key_id ? fmt::format("key {}", row.key_id) : "-", row.model, row.ai, row.sum});
  }
  std::map<std::string, CostLine> users, ais;
  for (CostLine& line : report.lines) {
    // Requests that took no measurable time still were served: then their number decides.
    line.share = report.all.slot_seconds > 0 ? line.sum.slot_seconds / report.all.slot_seconds : static_cast<double>(line.sum.requests) / static_cast<double>(report.all.requests);
    line.dollars = report.dollars * line.share;
    CostLine& user = users[line.user];
    user.user = line.user;
    CostLine& ai = ais[line.model + "\n" + line.ai];
    ai.model = line.model;
    ai.ai = line.ai;
    for (CostLine* sum : {&user, &ai}) {
      sum->sum.add(line.sum);
      sum->share += line.share;
      sum->dollars += line.dollars;
    }
  }
  for (auto& [name, line] : users) report.users.push_back(std::move(line));
  for (auto& [name, line] : ais) report.ais.push_back(std::move(line));
  return report;
}

}  // namespace ingot
