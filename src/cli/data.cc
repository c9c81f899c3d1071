#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/error.h"
#include "core/files.h"
#include "foundry/sources/source.h"

namespace ingot {
namespace {

struct DataOptions {
  std::string source, map, write;
  double split = 0;
  bool json = false;
};

std::string day(int64_t seconds) {
  const time_t t = seconds;
  tm parts{};
  gmtime_r(&t, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::string moment(int64_t seconds) {
  const time_t t = seconds;
  tm parts{};
  gmtime_r(&t, &parts);
  return fmt::format("{} {:02}:{:02}:{:02} UTC", day(seconds), parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string quoted(const std::string& field) {
  std::string out = "\"";
  for (char c : field) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

// The columns that issue trackers use, so that the file can be read back with the map the documentation shows.
void write_csv(const std::string& path, const Record* begin, const Record* end) {
  std::string out = "Bug ID,Assignee,Component,text,time\n";
  for (const Record* r = begin; r != end; ++r) {
    out += quoted(r->id) + "," + quoted(r->engineer) + "," + quoted(r->component) + "," + quoted(r->text) + "," +
           (r->time ? moment(r->time) : "") + "\n";
  }
  write_file(path, out);
}

std::vector<std::string> write_split(const Dataset& data, const DataOptions& options) {
  const Record* first = data.records.data();
  const size_t count = data.records.size();
  if (options.split == 0) {
    write_csv(options.write, first, first + count);
    return {options.write};
  }
  const size_t cut = std::min(count, static_cast<size_t>(options.split * static_cast<double>(count)));
  std::string stem = options.write;
  if (stem.ends_with(".csv")) stem.resize(stem.size() - 4);
  write_csv(stem + "_train.csv", first, first + cut);
  write_csv(stem + "_test.csv", first + cut, first + count);
  return {stem + "_train.csv", stem + "_test.csv"};
}

void show(const DataOptions& options) {
  std::set<std::string> people, components, teams;
  int64_t oldest = 0, newest = 0;
  size_t records = 0;
  const auto count = [&](const Record& r) {
    ++records;
    if (!r.engineer.empty()) people.insert(r.engineer);
    if (!r.component.empty()) components.insert(r.component);
    if (!r.team.empty()) teams.insert(r.team);
    if (r.time && (!oldest || r.time < oldest)) oldest = r.time;
    newest = std::max(newest, r.time);
  };
  // Looking needs no record again; writing them in order of time does.
  Holding hold;
  if (options.write.empty()) hold.visit = count;
  const Dataset data = read_source(options.source, parse_map(options.map), hold);
  for (const Record& r : data.records) count(r);
  uint64_t skipped = 0;
  for (const auto& [reason, rows] : data.skipped) skipped += rows;
  std::vector<std::string> wrote;
  if (!options.write.empty()) wrote = write_split(data, options);
  if (options.json) {
    nlohmann::json out = {{"source", data.described}, {"records", records}, {"people", people.size()},
                          {"components", components.size()}, {"teams", teams.size()}, {"rows", data.rows_read}, {"skipped", skipped},
                          {"reasons", data.skipped}, {"notes", data.notes}, {"wrote", wrote}};
    if (newest) out["first"] = moment(oldest), out["last"] = moment(newest);
    for (const SkippedRow& row : data.examples) out["examples"].push_back({{"reason", row.reason}, {"file", row.file}, {"line", row.line}});
    fmt::print("{}\n", out.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print("{}\n  {} records of {} rows, {} people, {} components, {} teams\n", data.described, records, data.rows_read,
             people.size(), components.size(), teams.size());
  if (newest) fmt::print("  from {} to {}\n", day(oldest), day(newest));
  for (const std::string& note : data.notes) fmt::print("  note: {}\n", note);
  if (skipped) fmt::print("  not used: {}\n", skipped);
  for (const auto& [reason, rows] : data.skipped) {
    fmt::print("    {:>7}  {}\n", rows, reason);
    for (const SkippedRow& row : data.examples) {
      if (row.reason == reason) fmt::print("             {}{}\n", row.file, row.line ? fmt::format(":{}", row.line) : "");
    }
  }
  for (const std::string& file : wrote) fmt::print("  wrote {}\n", file);
}

}  // namespace

void add_data(CLI::App& app) {
  auto options = std::make_shared<DataOptions>();
  auto* command = app.add_subcommand("data", "Say what a source holds and which rows are not used, and why");
  command->add_option("source", options->source, "KIND:PATH")->required();
  command->add_option("--map", options->map, "FIELD=COLUMN,... for csv and jsonl");
  command->add_option("--write", options->write, "export the records, oldest first, as this CSV file");
  command->add_option("--split", options->split, "with --write: share of the oldest records; writes NAME_train.csv and NAME_test.csv")
      ->check(from_to(0, 1));
  command->add_flag("--json", options->json, "one JSON object");
  command->callback([options] { show(*options); });
}

}  // namespace ingot
