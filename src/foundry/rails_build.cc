#include "foundry/rails_build.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"
#include "core/random.h"
#include "guard/rates.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr int kHeldOut = 5;  // every fifth subject judges

json object_of(const Rate& rate) { return {{"share", rate.share()}, {"low", rate.low()}, {"high", rate.high()}, {"hits", rate.hits}, {"texts", rate.total}}; }
std::string line_of(const char* name, const Rate& rate, const char* of) {
  return fmt::format("rail      topic: {:<17} {:5.1f} % (95 %: {:.1f} to {:.1f}) of {} {}", name, 100 * rate.share(), 100 * rate.low(), 100 * rate.high(), rate.total, of);
}

void refuse_contradictions(const Recipe& recipe) {
  const std::unordered_set<std::string> on(recipe.guard.examples.begin(), recipe.guard.examples.end());
  for (const std::string& text : recipe.guard.never) {
    if (on.contains(text)) throw Error(ErrorKind::recipe, fmt::format("\"{}\" is both on the subject and off it", text), "guard.never", "take it out of guard.examples or of guard.never");
  }
}

}  // namespace

std::vector<std::shared_ptr<const TextEncoder>> encoders_of(const Recipe& recipe) {
  if (recipe.base != "none") {
    throw Error(ErrorKind::recipe, fmt::format("this version cannot load the base \"{}\" yet", recipe.base), "base", "use base = \"none\"");
  }
  return {WordVectors::shipped()};
}

Rails build_rails(const Recipe& recipe, const std::vector<std::string>& train, const std::vector<std::string>& test, bool learn_all,
                  const std::vector<std::shared_ptr<const TextEncoder>>& encoders, json& report, const std::function<void(const std::string&)>& say) {
  refuse_contradictions(recipe);
  if (recipe.guard.injection != RailMode::off) {
    // A rail that cannot run is never "safe": better no AI than one that only claims to be kept to its subject.
    throw Error(ErrorKind::recipe, fmt::format("this version has no such rail, so it cannot {}", name_of(recipe.guard.injection)), "guard.injection", "set it to \"off\"");
  }
  RailSettings settings{recipe.guard.topic, recipe.guard.private_data, recipe.guard.words, static_cast<uint64_t>(recipe.guard.longest), recipe.purpose};
  report = {{"topic", {{"mode", name_of(settings.topic)}}}, {"private_data", {{"mode", name_of(settings.private_data)}}}, {"words", {{"patterns", settings.words.size()}}},
            {"length", {{"longest", settings.longest}}}};
  if (settings.topic == RailMode::off) return Rails(settings, std::nullopt);

  Background background = shipped_background();
  if (!recipe.guard.never.empty()) {
    background.subjects.push_back("named in the recipe");
    for (const std::string& text : recipe.guard.never) {
      background.texts.push_back(text);
      background.subject.push_back(static_cast<int>(background.subjects.size()) - 1);
    }
  }
  TopicOptions options;
  options.keep = recipe.guard.topic_keep;
  options.stop = recipe.guard.topic_stop;
  options.seed = static_cast<uint64_t>(recipe.train.seed);
  options.encoders = encoders;

  std::vector<int> order(background.subjects.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  Random random(options.seed + 77);
  random.shuffle(order);
  Background seen, held;
  seen.subjects = held.subjects = background.subjects;
  for (size_t i = 0; i < background.texts.size(); ++i) {
    Background& side = order[background.subject[i]] % kHeldOut == 0 ? held : seen;
    side.texts.push_back(background.texts[i]);
    side.subject.push_back(background.subject[i]);
  }
  std::vector<std::string> own = train;
  own.insert(own.end(), recipe.guard.examples.begin(), recipe.guard.examples.end());
  if (recipe.kind == "triage") {
    const auto phrases = shipped_bug_phrases();
    own.insert(own.end(), phrases.begin(), phrases.end());
  }
  const TopicRail judged = TopicRail::train(own, seen, options);
  if (learn_all) own.insert(own.end(), test.begin(), test.end());
  Rails rails(settings, TopicRail::train(own, background, options));
  const TopicRail& packed = *rails.topic();

  Rate kept, stopped;
  for (const std::string& text : test) {
    ++kept.total;
    kept.hits += judged.excess(text) >= 0;
  }
  // What the packed rail takes for the AI's own subject is no measure of what is off topic; it is named instead.
  const std::unordered_set<std::string> its_own(packed.own_subjects().begin(), packed.own_subjects().end());
  for (size_t i = 0; i < held.texts.size(); ++i) {
    if (its_own.contains(held.subjects[held.subject[i]])) continue;
    ++stopped.total;
    stopped.hits += judged.excess(held.texts[i]) < 0;
  }
  std::vector<double> spent;
  for (size_t i = 0; i < std::min<size_t>(test.size(), 500); ++i) spent.push_back(rails.check(test[i]).ms);
  std::sort(spent.begin(), spent.end());
  const double median = spent.empty() ? 0 : spent[spent.size() / 2], p99 = spent.empty() ? 0 : spent[spent.size() * 99 / 100];
  say(line_of("off-topic stopped", stopped, "texts on subjects it never saw"));
  say(line_of("on-topic kept", kept, "held-out texts of its own"));
  say(fmt::format("rail      topic: milliseconds added {:.2f} at the median, {:.2f} at the 99th percentile of {} texts", median, p99, spent.size()));
  if (!packed.own_subjects().empty()) say(fmt::format("rail      topic: taken for its own subject: {}", fmt::join(packed.own_subjects(), ", ")));
  std::vector<std::string> spaces;
  for (const auto& encoder : encoders) spaces.push_back(encoder->fingerprint());
  report["topic"].update({{"off_topic_stopped", object_of(stopped)}, {"on_topic_kept", object_of(kept)}, {"ms_added", {{"median", median}, {"p99", p99}}},
                          {"threshold", packed.threshold()}, {"own_texts", packed.own_texts()}, {"own_subjects", packed.own_subjects()}, {"encoders", spaces},
                          {"judged_by", "a rail that saw neither these texts nor these subjects"}});
  return rails;
}

}  // namespace ingot
