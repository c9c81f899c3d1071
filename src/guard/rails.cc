#include "guard/rails.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "core/error.h"
#include "guard/follow_up.h"
#include "guard/grounding.h"
#include "guard/language.h"
#include "guard/repetition.h"
#include "guard/sentences.h"
#include "models/word_vectors.h"
#include "text/normalise.h"
#include "text/utf8.h"

namespace ingot {
namespace {

constexpr uint32_t kRailsFormat = 3, kFirstRailsFormat = 1;  // 1: no injection, no stages but the input; 2: no plain topic rail

RE2::Options options() {
  RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  options.set_max_mem(int64_t{8} << 20);
  return options;
}

std::string shortened(const std::string& text, size_t most = 120) {
  return text.size() <= most ? text : std::string(utf8_prefix(text, most)) + "...";
}

RailMode RailSettings::*const kModes[] = {&RailSettings::topic, &RailSettings::private_data, &RailSettings::injection, &RailSettings::language, &RailSettings::repetition,
                                          &RailSettings::retrieved_injection, &RailSettings::retrieved_private_data, &RailSettings::output_topic, &RailSettings::output_private_data,
                                          &RailSettings::output_language, &RailSettings::output_repetition, &RailSettings::grounding};

void judge_length(const std::string& text, uint64_t most, RailFinding& finding) {
  finding.hit = text.size() > most;
  if (finding.hit) finding.reason = fmt::format("the text has {} bytes, this AI takes at most {}", text.size(), most);
}

void judge_language(const std::string& text, const std::vector<std::string>& spoken, RailFinding& finding) {
  const Language language = language_of(text);
  finding.score = language.confidence;
  finding.hit = !language.code.empty() && !spoken.empty() && std::find(spoken.begin(), spoken.end(), language.code) == spoken.end();
  if (finding.hit) finding.reason = fmt::format("the text is in another language (\"{}\"); spoken here: {}", language.code, fmt::join(spoken, ", "));
}

void judge_repetition(const std::string& text, RailFinding& finding) {
  finding.score = repetition_of(text);
  finding.threshold = kRepetitionThreshold;
  finding.hit = *finding.score > kRepetitionThreshold;
  if (finding.hit) finding.reason = "the text goes round in circles";
}

void judge_injection(const InjectionRail* rail, const std::string& fault, const std::string& text, RailFinding& finding) {
  if (!rail) throw Error(ErrorKind::environment, fault, "", "");
  const InjectionRail::Finding found = rail->look(text);
  finding.score = found.score;
  finding.threshold = rail->threshold();
  finding.hit = found.score > rail->threshold();
  if (finding.hit) finding.reason = fmt::format("the text tries to give orders to the model{}: \"{}\"", found.disguise.empty() ? "" : ", hidden as " + found.disguise, shortened(found.passage));
}

}  // namespace

std::string kinds_of(const std::vector<PrivateSpan>& spans) {
  std::map<std::string_view, int> counts;
  for (const PrivateSpan& span : spans) ++counts[name_of(span.kind)];
  std::string list;
  for (const auto& [kind, count] : counts) list += fmt::format("{}{}{}", list.empty() ? "" : ", ", kind, count > 1 ? fmt::format(" ({} times)", count) : "");
  return list;
}

std::string pattern_fault(const std::string& pattern) {
  const RE2 compiled(pattern, options());
  return compiled.ok() ? "" : compiled.error();
}

RailMode RailSettings::mode(RailKind kind, RailStage stage) const {
  const bool in = stage == RailStage::input, out = stage == RailStage::output;
  switch (kind) {
    case RailKind::length: return (in && longest) || (out && output_longest) ? RailMode::block : RailMode::off;
    case RailKind::private_data: return in ? private_data : out ? output_private_data : retrieved_private_data;
    case RailKind::words: return words.empty() ? RailMode::off : RailMode::block;
    case RailKind::injection: return in ? injection : out ? RailMode::off : retrieved_injection;
    case RailKind::topic: return in ? topic : out ? output_topic : RailMode::off;
    case RailKind::language: return in ? language : out ? output_language : RailMode::off;
    case RailKind::repetition: return in ? repetition : out ? output_repetition : RailMode::off;
    case RailKind::grounding: return out ? grounding : RailMode::off;
  }
  return RailMode::block;
}

bool RailSettings::opens(RailKind kind) const { return std::find(open.begin(), open.end(), name_of(kind)) != open.end(); }

struct Rails::Patterns {
  std::vector<std::unique_ptr<RE2>> list;
};

Rails::Rails(RailSettings settings, std::optional<TopicRail> topic, std::shared_ptr<const InjectionRail> injection, std::optional<TopicRail> plain_topic)
    : settings_(std::move(settings)), topic_(std::move(topic)), plain_topic_(std::move(plain_topic)), injection_(std::move(injection)) {
  prepare();
}

void Rails::prepare() {
  auto patterns = std::make_shared<Patterns>();
  for (const std::string& word : settings_.words) patterns->list.push_back(std::make_unique<RE2>(word, options()));
  patterns_ = std::move(patterns);
  if (injection_ && std::dynamic_pointer_cast<const WordVectors>(injection_->encoder())) word_encoder_ = injection_->encoder();
  uses_plain_ = plain_topic_ && lacks_encoder();
  for (size_t space = 0; topic() && space < topic()->spaces(); ++space)
    if (std::dynamic_pointer_cast<const WordVectors>(topic()->encoder(space))) word_encoder_ = topic()->encoder(space);
  if (!topic_ && topic_fault_.empty()) topic_fault_ = "it was never trained";
  if (!injection_ && injection_fault_.empty()) injection_fault_ = "its model is missing";
}

bool Rails::any(RailStage stage) const {
  for (int kind = 0; kind < kRails; ++kind)
    if (settings_.mode(static_cast<RailKind>(kind), stage) != RailMode::off) return true;
  return false;
}

bool Rails::lacks_encoder() const {
  for (size_t space = 0; topic_ && space < topic_->spaces(); ++space)
    if (!topic_->encoder(space)) return true;
  return false;
}

bool Rails::any() const { return any(RailStage::input) || any(RailStage::retrieved) || any(RailStage::output); }

bool Rails::words_match(std::string_view text) const {
  const std::string seen = normalise_text(text);
  for (size_t i = 0; i < patterns_->list.size(); ++i) {
    const RE2& pattern = *patterns_->list[i];
    if (!pattern.ok()) throw Error(ErrorKind::altered, "a pattern does not compile", settings_.words[i], "build again");
    // As typed, and as a reader sees it: a zero-width space in the middle of a word hides nothing.
    if (RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), pattern) || RE2::PartialMatch(seen, pattern)) return true;
  }
  return false;
}

void Rails::Judge::fail(RailFinding& finding, const char* what) const {
  finding.failed = true;
  finding.hit = !rails_.settings_.opens(finding.rail);
  finding.reason = finding.hit ? fmt::format("the rail could not run, so nothing passes: {}", what) : "";
}

void Rails::Judge::settle(RailFinding finding) {
  Counters::Cell& cell = rails_.counters_->cells[static_cast<size_t>(finding.rail)][static_cast<size_t>(stage_)];
  constexpr auto kOrder = std::memory_order_relaxed;
  cell.checked.fetch_add(1, kOrder);
  if (finding.failed) cell.failed.fetch_add(1, kOrder);
  if (finding.failed && !finding.hit) verdict.watched.push_back(fmt::format("{}: could not run, and the recipe lets pass", name_of(finding.rail)));
  if (finding.hit) {
    if (finding.mode == RailMode::watch) {
      cell.watched.fetch_add(1, kOrder);
      verdict.watched.push_back(fmt::format("{}: {}", name_of(finding.rail), finding.reason));
    } else if (finding.mode == RailMode::mask && !finding.failed) {
      cell.masked.fetch_add(1, kOrder);
      verdict.watched.push_back(fmt::format("{}: {}", name_of(finding.rail), finding.reason));
    } else {
      cell.blocked.fetch_add(1, kOrder);
      if (verdict.allowed) {
        verdict.allowed = false;
        verdict.rail = name_of(finding.rail);
        verdict.reason = finding.reason;
        verdict.score = finding.score;  // of the rail that it is named with
      }
    }
  }
  verdict.findings.push_back(std::move(finding));
}

namespace {

std::string without_private_data(const std::string& text) {
  std::string out;
  size_t at = 0;
  for (const PrivateSpan& span : find_private_data(text)) {
    out.append(text, at, span.begin - at);
    at = span.end;
  }
  return out.append(text, at, std::string::npos);
}

}  // namespace

void Rails::judge_private(const std::string& text, Verdict& verdict, RailFinding& finding) const {
  const auto spans = find_private_data(text);
  finding.hit = !spans.empty();
  if (!finding.hit) return;
  if (finding.mode == RailMode::mask) {
    verdict.text = mask_private_data(text, spans);
    finding.reason = "masked " + kinds_of(spans);
  } else {
    finding.reason = "the text holds private data: " + kinds_of(spans);
  }
}

void Rails::judge_topic(const std::string& text, std::span<const std::string> earlier, Verdict& verdict, RailFinding& finding) const {
  size_t before = 0;
  for (const std::string& one : earlier) before = std::max(before, one.size());
  const TopicRail* rail = topic(text.size() + before);
  if (!rail) throw Error(ErrorKind::environment, topic_fault_, "", "");
  finding.threshold = rail->threshold();
  if (text.find_first_not_of(" \t\r\n\f\v") == std::string::npos) {
    finding.hit = true;
    finding.score = 0;
    finding.reason = "the text is empty";
    return;
  }
  verdict.excess = excess_in_conversation(*rail, text, earlier);
  finding.score = rail->score_of(*verdict.excess);
  if (verdict.allowed) verdict.score = finding.score;
  finding.hit = *verdict.excess < 0;
  if (finding.hit) finding.reason = settings_.purpose.empty() ? std::string("this is not what this AI is for") : fmt::format("this is not what this AI is for; it {}", settings_.purpose);
}

Verdict Rails::check(const std::string& given, std::span<const std::string> earlier) const {
  const auto start = std::chrono::steady_clock::now();
  Judge judge(*this, RailStage::input);
  judge.verdict.text = given;
  judge.run(RailKind::length, [&](RailFinding& finding) { judge_length(given, settings_.longest, finding); });
  if (judge.verdict.allowed) {
    judge.run(RailKind::private_data, [&](RailFinding& finding) { judge_private(given, judge.verdict, finding); });
    judge.run(RailKind::words, [&](RailFinding& finding) {
      finding.hit = words_match(given);
      if (finding.hit) finding.reason = "the text holds words that this AI's owner has excluded";
    });
    judge.run(RailKind::injection, [&](RailFinding& finding) { judge_injection(injection_.get(), injection_fault_, given, finding); });
    judge.run(RailKind::language, [&](RailFinding& finding) { judge_language(given, settings_.languages, finding); });
    judge.run(RailKind::repetition, [&](RailFinding& finding) { judge_repetition(given, finding); });
    judge.run(RailKind::topic, [&](RailFinding& finding) {
      // A number or a name that was masked says nothing about the subject, and neither does what stands for it.
      const std::string subject = judge.verdict.text == given ? given : without_private_data(given);
      judge_topic(subject.find_first_not_of(" \t\r\n.,") == std::string::npos ? given : subject, earlier, judge.verdict, finding);
    });
  }
  judge.verdict.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return std::move(judge.verdict);
}

Verdict Rails::check_retrieved(const std::string& given) const {
  const auto start = std::chrono::steady_clock::now();
  Judge judge(*this, RailStage::retrieved);
  judge.verdict.text = given;
  judge.run(RailKind::private_data, [&](RailFinding& finding) { judge_private(given, judge.verdict, finding); });
  judge.run(RailKind::words, [&](RailFinding& finding) {
    finding.hit = words_match(given);
    if (finding.hit) finding.reason = "the document holds words that this AI's owner has excluded";
  });
  judge.run(RailKind::injection, [&](RailFinding& finding) { judge_injection(injection_.get(), injection_fault_, given, finding); });
  judge.verdict.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return std::move(judge.verdict);
}

Verdict Rails::check_output(const std::string& given, const std::string& question, std::span<const std::string> documents) const {
  const auto start = std::chrono::steady_clock::now();
  Judge judge(*this, RailStage::output);
  judge.verdict.text = given;
  judge.run(RailKind::length, [&](RailFinding& finding) { judge_length(given, settings_.output_longest, finding); });
  judge.run(RailKind::private_data, [&](RailFinding& finding) { judge_private(given, judge.verdict, finding); });
  judge.run(RailKind::words, [&](RailFinding& finding) {
    finding.hit = words_match(given);
    if (finding.hit) finding.reason = "the answer holds words that this AI's owner has excluded";
  });
  judge.run(RailKind::language, [&](RailFinding& finding) { judge_language(given, settings_.languages, finding); });
  judge.run(RailKind::repetition, [&](RailFinding& finding) { judge_repetition(given, finding); });
  judge.run(RailKind::topic, [&](RailFinding& finding) { judge_topic(question.empty() ? given : question + "\n" + given, {}, judge.verdict, finding); });
  if (!documents.empty()) {
    judge.run(RailKind::grounding, [&](RailFinding& finding) {
      const Grounding grounding(documents, question, word_encoder_);
      finding.threshold = kSupportThreshold;
      finding.score = 1;
      for (std::string_view sentence : sentences_of(given, 80)) {
        const Grounding::Support support = grounding.judge(sentence);
        finding.score = std::min(*finding.score, support.missing.empty() ? support.score : 0);
        if (support.supported() || finding.hit) continue;
        finding.hit = true;
        finding.reason = fmt::format("the documents do not bear out \"{}\"{}", shortened(std::string(sentence)), support.missing.empty() ? "" : fmt::format(": \"{}\" is in none of them", support.missing));
      }
    });
  }
  judge.verdict.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return std::move(judge.verdict);
}

std::vector<RailCount> Rails::counts() const {
  std::vector<RailCount> counts;
  for (int kind = 0; kind < kRails; ++kind) {
    for (int stage = 0; stage < kStages; ++stage) {
      const Counters::Cell& cell = counters_->cells[static_cast<size_t>(kind)][static_cast<size_t>(stage)];
      if (cell.checked == 0) continue;
      counts.push_back({static_cast<RailKind>(kind), static_cast<RailStage>(stage), cell.checked, cell.blocked, cell.watched, cell.masked, cell.failed});
    }
  }
  return counts;
}

std::string Rails::save() const {
  BlobWriter out;
  out.put(kRailsFormat);
  for (auto mode : kModes) out.put<uint8_t>(static_cast<uint8_t>(settings_.*mode));
  out.put(settings_.words);
  out.put(settings_.longest);
  out.put(settings_.output_longest);
  out.put(std::string_view(settings_.purpose));
  out.put(settings_.languages);
  out.put(settings_.open);
  out.put(std::string_view(settings_.encoder));
  out.put<uint8_t>(topic_.has_value());
  if (topic_) topic_->save(out);
  out.put<uint8_t>(injection_ != nullptr);
  if (injection_) injection_->save(out);
  out.put<uint8_t>(plain_topic_.has_value());
  if (plain_topic_) plain_topic_->save(out);
  return out.take();
}

Rails Rails::load(std::span<const std::byte> bytes, std::span<const std::shared_ptr<const TextEncoder>> encoders) {
  BlobReader in(bytes, "guard.bin");
  const auto format = in.get<uint32_t>();
  in.require(format >= kFirstRailsFormat && format <= kRailsFormat);
  Rails rails;
  RailSettings& settings = rails.settings_;
  for (size_t i = 0; i < (format == kFirstRailsFormat ? 2 : std::size(kModes)); ++i) {
    const auto value = in.get<uint8_t>();
    in.require(value <= static_cast<uint8_t>(RailMode::mask));
    settings.*kModes[i] = static_cast<RailMode>(value);
  }
  settings.words = in.texts();
  settings.longest = in.get<uint64_t>();
  if (format != kFirstRailsFormat) settings.output_longest = in.get<uint64_t>();
  settings.purpose = in.text();
  if (format != kFirstRailsFormat) {
    settings.languages = in.texts();
    settings.open = in.texts();
    settings.encoder = in.text();
  }
  if (in.get<uint8_t>()) rails.topic_ = TopicRail::load(in, encoders);
  if (format != kFirstRailsFormat && in.get<uint8_t>()) rails.injection_ = std::make_shared<const InjectionRail>(InjectionRail::load(in, encoders));
  if (format > 2 && in.get<uint8_t>()) rails.plain_topic_ = TopicRail::load(in, encoders);
  in.require(in.done());
  for (const auto& encoder : encoders)
    if (std::dynamic_pointer_cast<const WordVectors>(encoder)) rails.word_encoder_ = encoder;
  rails.prepare();
  return rails;
}

}  // namespace ingot
