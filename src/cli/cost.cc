#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/data_folder.h"
#include "core/error.h"
#include "serve/cost_report.h"
#include "serve/site.h"

namespace ingot {

void add_cost(CLI::App& app) {
  struct Options {
    std::string data, site;
    double price = -1;
    int64_t days = 30;
    bool json = false, csv = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("cost", "What the machine cost: per user, per AI, per million tokens");
  command->add_option("--price", o->price, "of the machine, an hour; else price_per_hour of --site")->check(at_least(0));
  command->add_option("--site", o->site, "site.toml with the price");
  command->add_option("--days", o->days, "how far back")->check(whole(1, 36500));
  command->add_option("--data", o->data, "data folder; else INGOT_DATA, else $XDG_DATA_HOME/ingot");
  CLI::Option* json = command->add_flag("--json", o->json, "print one JSON object");
  command->add_flag("--csv", o->csv, "print CSV, one line a user and AI")->excludes(json);
  command->callback([o] {
    Site site;
    if (!o->site.empty()) site = read_site(o->site);
    if (o->price >= 0) site.price_per_hour = o->price;
    const auto folder = o->data.empty() && !site.data.empty() ? site.data : data_folder(o->data);
    std::error_code failed;
    if (!std::filesystem::exists(Database::file_in(folder), failed)) bad_input("nothing was recorded here", folder.string(), "serve with --data, or name the folder of the service");
    Database database(folder);
    UsageStore usage(database, false);
    const int64_t now = std::time(nullptr);
    const CostReport report = cost_report(usage, KeyStore(database).list(), now - o->days * 86400, now, site.price_per_hour, site.currency);
    if (o->json) return (void)std::puts(report.json().c_str());
    if (o->csv) return (void)std::fputs(report.csv().c_str(), stdout);
    fmt::print("{:.2f} hours at {:.2f} {} an hour: {:.2f}; {} requests, {} tokens, {:.2f} a million tokens\n", report.hours, report.price_per_hour, report.currency, report.dollars, report.all.requests, report.all.tokens(), report.per_million_tokens());
    if (report.price_per_hour == 0) fmt::print("the price is not stated: give --price\n");
    const auto table = [&](const char* head, const std::vector<CostLine>& lines, bool by_user) {
      fmt::print("\n{:<28} {:>9} {:>12} {:>12} {:>10} {:>7} {:>10} {:>12}\n", head, "requests", "prompt", "generated", "slot s", "share", report.currency, "per million");
      for (const CostLine& line : lines)
        fmt::print("{:<28} {:>9} {:>12} {:>12} {:>10.1f} {:>6.1f}% {:>10.4f} {:>12.4f}\n", by_user ? (line.user == "-" ? "(without a key)" : line.user) : line.ai.empty() ? line.model : fmt::format("{} {}", line.model, line.ai.substr(0, 8)), line.sum.requests, line.sum.prompt_tokens, line.sum.generated_tokens, line.sum.slot_seconds, 100 * line.share, line.dollars,
                   line.sum.tokens() ? line.dollars * 1e6 / static_cast<double>(line.sum.tokens()) : 0.0);
    };
    table("user", report.users, true);
    table("AI", report.ais, false);
  });
}

}  // namespace ingot
