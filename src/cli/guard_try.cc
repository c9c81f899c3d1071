#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/guard_command.h"
#include "cli/own_archive.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "foundry/ai.h"
#include "guard/threshold_curve.h"

namespace ingot {
namespace {

using nlohmann::json;

struct GuardTryOptions {
  std::string file, on, off, svg;
  std::vector<std::string> earlier;
  std::optional<double> threshold;
  bool json = false;
};

json number(const std::optional<double>& value) { return value ? json(*value) : json(); }

void try_line(const Rails& rails, const std::string& line, const GuardTryOptions& options) {
  const Verdict verdict = rails.check(line, options.earlier);
  json findings = json::array();
  bool allowed = true;
  for (RailFinding finding : verdict.findings) {
    if (finding.rail == RailKind::topic && options.threshold && finding.score) {
      finding.threshold = options.threshold;
      finding.hit = *finding.score < *options.threshold;
    }
    allowed &= !(finding.hit && finding.mode == RailMode::block);
    findings.push_back({{"rail", name_of(finding.rail)}, {"mode", name_of(finding.mode)}, {"found", finding.hit}, {"failed", finding.failed}, {"score", number(finding.score)},
                        {"threshold", number(finding.threshold)}, {"reason", finding.reason}});
  }
  if (options.json) {
    fmt::print("{}\n", json{{"text", line}, {"allowed", allowed}, {"rails", findings}, {"text_to_go_on_with", verdict.text}, {"ms", verdict.ms}}.dump(-1, ' ', false, json::error_handler_t::replace));
    return;
  }
  fmt::print("{}  {}\n", allowed ? "pass" : "stop", line);
  for (const json& finding : findings) {
    const auto shown = [&](const char* key) { return finding[key].is_null() ? std::string("-") : fmt::format("{:.3f}", finding[key].get<double>()); };
    fmt::print("      {:<12} {:<6} {:<6} score {:<6} threshold {:<6} {}\n", finding["rail"].get<std::string>(), finding["mode"].get<std::string>(), finding["found"].get<bool>() ? "found" : "-", shown("score"), shown("threshold"),
               finding["reason"].get<std::string>());
  }
}

void curve(const Rails& rails, const GuardTryOptions& options) {
  if (!rails.topic()) throw Error(ErrorKind::input, "this AI has no topic rail, so it has no threshold to move", options.file, "build it with --set guard.topic=block");
  std::vector<double> on, off;
  for (const std::string& text : lines_of_file(options.on)) on.push_back(rails.topic()->score(text));
  for (const std::string& text : lines_of_file(options.off)) off.push_back(rails.topic()->score(text));
  if (on.empty() || off.empty()) bad_input("there must be texts of both sorts", "--on, --off", "give one text a line");
  const double packed = rails.topic()->threshold(), chosen = options.threshold.value_or(packed);
  const auto points = threshold_curve(on, off, chosen);
  const auto show = [&](const char* name, const CurvePoint& p) {
    fmt::print("{:<9} {:.3f}  on-topic kept {:5.1f} % (95 %: {:.1f} to {:.1f}) of {}, off-topic stopped {:5.1f} % ({:.1f} to {:.1f}) of {}\n", name, p.threshold, 100 * p.kept.share(), 100 * p.kept.low(), 100 * p.kept.high(),
               p.kept.total, 100 * p.stopped.share(), 100 * p.stopped.low(), 100 * p.stopped.high(), p.stopped.total);
  };
  if (options.json) {
    json list = json::array();
    for (const CurvePoint& p : points) list.push_back({{"threshold", p.threshold}, {"on_topic_kept", p.kept.share()}, {"off_topic_stopped", p.stopped.share()}});
    const CurvePoint here = point_at(on, off, chosen);
    fmt::print("{}\n", json{{"packed_threshold", packed}, {"threshold", chosen}, {"on_topic_kept", here.kept.share()}, {"off_topic_stopped", here.stopped.share()}, {"curve", list}}.dump());
  } else {
    show("packed", point_at(on, off, packed));
    if (options.threshold) show("chosen", point_at(on, off, chosen));
    for (size_t i = 0; i < points.size(); i += 8) show("", points[i]);
  }
  if (!options.svg.empty()) write_file(options.svg, curve_svg(points, chosen, "Topic rail of " + options.file));
}

}  // namespace

void add_guard_try(CLI::App& guard) {
  auto options = std::make_shared<GuardTryOptions>();
  CLI::App* command = guard.add_subcommand("try", "Each line of standard input: what every rail says; with texts on and off the subject, how both errors move with the threshold");
  command->add_option("file", options->file, "NAME.ingot; an executable AI is its own");
  command->add_option("--threshold", options->threshold, "of the topic rail, between 0 and 1, in place of the packed one");
  command->add_option("--earlier", options->earlier, "a question that came before in the conversation, oldest first");
  command->add_option("--on", options->on, "a file of texts on the subject, one a line");
  command->add_option("--off", options->off, "a file of texts that are not");
  command->add_option("--svg", options->svg, "where the curve is drawn");
  command->add_flag("--json", options->json, "JSON instead of a table");
  command->callback([options] {
    if (options->threshold && !(*options->threshold > 0 && *options->threshold < 1))
      throw Error(ErrorKind::usage, fmt::format("the threshold {} is outside its range", *options->threshold), "--threshold", "choose a number above 0 and below 1");
    if (options->on.empty() != options->off.empty()) throw Error(ErrorKind::usage, "a curve needs texts of both sorts", "--on, --off", "give both");
    end_on_interrupt();
    const auto ai = Ai::open(own_archive_or(options->file));
    if (!options->on.empty()) return curve(ai->rails(), *options);
    if (!options->svg.empty()) throw Error(ErrorKind::usage, "there is no curve without texts on and off the subject", "--svg", "give --on and --off");
    for (std::string line; std::getline(std::cin, line);) try_line(ai->rails(), line, *options);
  });
}

}  // namespace ingot
