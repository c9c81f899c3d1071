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
#include "runtime/model_store.h"
#include "runtime/open_model.h"
#include "text/normalise.h"

namespace ingot {
namespace {

constexpr double kKeep = 0.97, kKeepWithEncoder = 0.98;
constexpr const char* kSentenceEncoder = "all-minilm-l6-v2";  // of the catalogue

// Empty: the embedded word vectors alone.
std::string rail_encoder_of(const Recipe& recipe) {
  const std::string& name = recipe.guard.encoder;
  if (name == "auto") return pulled_model(kSentenceEncoder) ? kSentenceEncoder : "";
  return name == "embedded" ? "" : name;
}

using nlohmann::json;

constexpr int kHeldOut = 5;  // every fifth subject judges

json object_of(const Rate& rate) { return {{"share", rate.share()}, {"low", rate.low()}, {"high", rate.high()}, {"hits", rate.hits}, {"texts", rate.total}}; }
std::string line_of(const char* name, const Rate& rate, const char* of) {
  return fmt::format("rail      topic: {:<17} {:5.1f} % (95 %: {:.1f} to {:.1f}) of {} {}", name, 100 * rate.share(), 100 * rate.low(), 100 * rate.high(), rate.total, of);
}

// Texts that differ in nothing that a rail can see count as one.
void refuse_contradictions(const Recipe& recipe, const std::vector<std::string>& own, const std::function<void(const std::string&)>& say) {
  std::unordered_set<std::string> on, data;
  for (const std::string& text : recipe.guard.examples) on.insert(normalise_text(text));
  for (const std::string& text : own) data.insert(normalise_text(text));
  size_t among_own = 0;
  for (const std::string& text : recipe.guard.never) {
    if (on.contains(normalise_text(text))) throw Error(ErrorKind::recipe, fmt::format("\"{}\" is both on the subject and off it", text), "guard.never", "take it out of guard.examples or of guard.never");
    among_own += data.contains(normalise_text(text));
  }
  if (among_own) say(fmt::format("rail      topic: {} texts of guard.never stand in the AI's own data and count as its own; take them out of one or the other", among_own));
}

RailSettings settings_of(const Recipe& recipe) {
  const auto& guard = recipe.guard;
  RailSettings settings;
  settings.topic = guard.topic;
  settings.private_data = guard.private_data;
  settings.words = guard.words;
  settings.longest = static_cast<uint64_t>(guard.longest);
  settings.purpose = recipe.purpose;
  settings.injection = guard.injection;
  settings.language = guard.language;
  settings.repetition = guard.repetition;
  settings.languages = guard.languages;
  settings.retrieved_injection = guard.retrieved.injection.value_or(guard.injection);
  settings.retrieved_private_data = guard.retrieved.private_data.value_or(RailMode::off);
  settings.output_topic = guard.output.topic;
  settings.output_private_data = guard.output.private_data.value_or(guard.private_data);
  settings.output_language = guard.output.language;
  settings.output_repetition = guard.output.repetition;
  settings.grounding = guard.output.grounding;
  settings.output_longest = static_cast<uint64_t>(guard.output.longest);
  settings.open = guard.open;
  settings.encoder = rail_encoder_of(recipe);
  if ((settings.language != RailMode::off || settings.output_language != RailMode::off) && settings.languages.empty())
    throw Error(ErrorKind::recipe, "the language rail is on, but no language is named", "guard.languages", "write for example guard.languages = [\"en\"]");
  return settings;
}

// What stands at each place, as report.json and /v1/metadata show it.
json modes_of(const RailSettings& settings) {
  json report = json::object();
  for (int kind = 0; kind < kRails; ++kind) {
    const auto rail = static_cast<RailKind>(kind);
    json& one = report[std::string(name_of(rail))];
    one = {{"mode", name_of(settings.mode(rail, RailStage::input))}};
    for (RailStage stage : {RailStage::retrieved, RailStage::output})
      if (const RailMode mode = settings.mode(rail, stage); mode != RailMode::off) one[std::string(name_of(stage))] = name_of(mode);
  }
  report["words"]["patterns"] = settings.words.size();
  report["length"]["longest"] = settings.longest;
  report["length"]["longest_answer"] = settings.output_longest;
  if (!settings.languages.empty()) report["language"]["languages"] = settings.languages;
  if (!settings.open.empty()) report["open"] = settings.open;
  return report;
}

// An AI's own questions are no attacks: what the rail says of them are false alarms.
void measure_injection(const InjectionRail& rail, const std::vector<std::string>& test, json& report, const std::function<void(const std::string&)>& say) {
  constexpr size_t kMost = 2000;
  Rate alarms;
  for (size_t i = 0; i < std::min(kMost, test.size()); ++i) {
    ++alarms.total;
    alarms.hits += rail.look(test[i]).score > rail.threshold();
  }
  say(fmt::format("rail      injection: false alarms     {:5.1f} % (95 %: {:.1f} to {:.1f}) of {} held-out texts of its own", 100 * alarms.share(), 100 * alarms.low(), 100 * alarms.high(), alarms.total));
  report["injection"].update({{"false_alarms", object_of(alarms)}, {"threshold", rail.threshold()}, {"model", "models/injection.bin; its card says what it was measured on"}});
}

void measure_private(const RailSettings& settings, const std::vector<std::string>& test, json& report, const std::function<void(const std::string&)>& say) {
  if (settings.private_data == RailMode::off && settings.output_private_data == RailMode::off) return;
  constexpr size_t kMost = 2000;
  Rate holding;
  for (size_t i = 0; i < std::min(kMost, test.size()); ++i) {
    ++holding.total;
    holding.hits += !find_private_data(test[i]).empty();
  }
  say(fmt::format("rail      private data: found in      {:5.1f} % of {} held-out texts of its own", 100 * holding.share(), holding.total));
  report["private_data"]["found_in"] = object_of(holding);
}

}  // namespace

std::vector<std::shared_ptr<const TextEncoder>> encoders_of(const Recipe& recipe) {
  std::vector<std::shared_ptr<const TextEncoder>> encoders = {WordVectors::shipped()};
  refuse_contradictions(recipe, {}, [](const std::string&) {});
  settings_of(recipe);
  const std::string name = rail_encoder_of(recipe);
  if (name.empty()) return encoders;
  try {
    encoders.push_back(open_rail_encoder(name));
  } catch (const Error& error) {
    throw Error(error.kind, fmt::format("the topic rail's encoder cannot be read: {}", error.what()), "guard.encoder",
                fmt::format("write \"auto\", \"embedded\", a pulled encoder (ingot pull {}), or an encoder's folder", kSentenceEncoder));
  }
  return encoders;
}

Rails build_rails(const Recipe& recipe, const std::vector<std::string>& train, const std::vector<std::string>& test, bool learn_all,
                  const std::vector<std::shared_ptr<const TextEncoder>>& encoders, json& report, const std::function<void(const std::string&)>& say) {
  refuse_contradictions(recipe, train, say);
  const RailSettings settings = settings_of(recipe);
  std::shared_ptr<const InjectionRail> injection;
  if (settings.injection != RailMode::off || settings.retrieved_injection != RailMode::off) injection = InjectionRail::shipped();
  report = modes_of(settings);
  if (injection) measure_injection(*injection, test, report, say);
  const auto with = [&](std::optional<TopicRail> topic, std::optional<TopicRail> plain = std::nullopt) {
    Rails rails(settings, std::move(topic), injection, std::move(plain));
    measure_private(settings, test, report, say);
    return rails;
  };
  if (settings.topic == RailMode::off && settings.output_topic == RailMode::off) return with(std::nullopt);

  Background background = shipped_background();
  if (!recipe.guard.never.empty()) {
    background.subjects.push_back("named in the recipe");
    for (const std::string& text : recipe.guard.never) {
      background.texts.push_back(text);
      background.subject.push_back(static_cast<int>(background.subjects.size()) - 1);
    }
  }
  TopicOptions options;
  // A sentence encoder tells subjects apart so well that it can afford to keep more.
  options.keep = recipe.guard.topic_keep > 0 ? recipe.guard.topic_keep : settings.encoder.empty() ? kKeep : kKeepWithEncoder;
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
  std::optional<TopicRail> plain;
  if (encoders.size() > 1) {  // for machines that lack the encoder
    TopicOptions fewer = options;
    fewer.encoders.resize(1);
    if (recipe.guard.topic_keep <= 0) fewer.keep = kKeep;
    plain = TopicRail::train(own, background, fewer);
    say(fmt::format("rail      topic: reads with {}; where that is not pulled, with the embedded word vectors alone", settings.encoder));
  }
  Rails rails = with(TopicRail::train(own, background, options), std::move(plain));
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
  if (kept.high() < options.keep)
    say(fmt::format("rail      topic: it keeps less than guard.topic_keep ({:.0f} %) asks for: these texts are put in words that the ones learnt from are not; give more of them, or guard.examples", 100 * options.keep));
  if (!packed.own_subjects().empty()) say(fmt::format("rail      topic: taken for its own subject: {} (name in guard.never what it shall decline)", fmt::join(packed.own_subjects(), ", ")));
  std::vector<std::string> spaces;
  for (const auto& encoder : encoders) spaces.push_back(encoder->fingerprint());
  report["topic"].update({{"off_topic_stopped", object_of(stopped)}, {"on_topic_kept", object_of(kept)}, {"ms_added", {{"median", median}, {"p99", p99}}},
                          {"threshold", packed.threshold()}, {"own_texts", packed.own_texts()}, {"own_subjects", packed.own_subjects()}, {"encoders", spaces},
                          {"judged_by", "a rail that saw neither these texts nor these subjects"}});
  return rails;
}

}  // namespace ingot
