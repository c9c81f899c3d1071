#include "guard/output_gate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "guard/ascii.h"
#include "guard/follow_up.h"
#include "guard/grounding.h"
#include "guard/language.h"
#include "guard/repetition.h"
#include "guard/sentences.h"

namespace ingot {
namespace {

constexpr size_t kWindow = 320;       // bytes that are held without a sentence's end before a part is judged
constexpr size_t kLookAhead = 64;     // bytes that must stand behind a cut inside a sentence
constexpr size_t kLongestHeld = 20000;  // bytes held at most; a private key reaches over 16 KiB
constexpr size_t kBehind = 512;       // bytes of released text that stay as context


class OutputGate final : public ReleaseGate {
 public:
  OutputGate(std::shared_ptr<const Rails> rails, AnswerContext context) : rails_(std::move(rails)), context_(std::move(context)) {
    const RailSettings& settings = rails_->settings();
    grounds_ = settings.grounding != RailMode::off && !context_.documents.empty();
    // A pattern may reach over a cut: what stands behind it is waited for.
    for (const std::string& word : settings.words) overlap_ |= word.find_first_of(" \\.[(") != std::string::npos;
  }

  std::string push(std::string_view text) override {
    if (stopped_) return "";
    held_ += text;
    return release(false);
  }

  std::string finish() override {
    if (stopped_) return "";
    std::string out = release(true);
    if (!stopped_ && left_out_ > 0 && !anything_) {
      stopped_ = true;
      rail_ = "grounding";
      out += reason_ = "the documents do not bear out what would have been answered";
    }
    return out;
  }

  bool stopped() const override { return stopped_; }
  std::string reason() const override { return stopped_ ? reason_ : ""; }
  std::string rail() const override { return rail_; }

 private:
  std::string release(bool last) {
    std::string out;
    while (!stopped_ && !held_.empty()) {
      const size_t cut = next_cut(last);
      if (cut == 0) break;
      try {
        out += judged(cut);
      } catch (const std::exception& error) {
        out += stop("rails", fmt::format("the rails could not run, so nothing passes: {}", error.what()));
      }
      released_ += held_.substr(0, cut);
      held_.erase(0, cut);
      // Context begins behind a line end or a blank, so that no word is seen in half.
      if (released_.size() > 2 * kBehind) {
        size_t from = released_.size() - kBehind;
        while (from < released_.size() && !blank(released_[from - 1])) ++from;
        released_.erase(0, from < released_.size() ? from : released_.size() - kBehind);
      }
    }
    return out;
  }

  // Bytes of held_ that are judged next, 0 to wait. Whatever follows, nothing private may begin before the cut and end behind it.
  size_t next_cut(bool last) const {
    if (open_key() && held_.size() < kLongestHeld && !last) return 0;
    const size_t behind = overlap_ ? kLookAhead : 0;
    for (size_t from = 0; from < held_.size();) {
      const size_t end = sentence_end(std::string_view(held_).substr(from));
      if (end == std::string_view::npos) break;
      const size_t cut = from + end;
      if (!last && cut + behind > held_.size()) break;
      if (holds_together(cut)) return cut;
      from = cut;
    }
    if (last) return held_.size();
    const size_t window = grounds_ ? 4 * kWindow : kWindow;
    if (held_.size() < window + kLookAhead) return 0;
    // No sentence ends: between two words without digits near by.
    for (size_t cut = held_.size() - kLookAhead; cut > kLookAhead; --cut) {
      if (held_[cut - 1] != ' ' || cut < 2 || !lower(held_[cut - 2]) || blank(held_[cut]) || digit(held_[cut])) continue;
      const std::string_view near = std::string_view(held_).substr(cut - std::min<size_t>(cut, 48), 96);
      if (std::none_of(near.begin(), near.end(), digit) && holds_together(cut)) return cut;
    }
    if (held_.size() < kLongestHeld) return 0;
    for (size_t cut = held_.size() - kLookAhead; cut > kLookAhead; --cut)
      if (blank(held_[cut - 1]) && holds_together(cut)) return cut;
    return held_.size() / 2;  // 10 KB without a blank: longer than anything private that is looked for
  }

  // Is a private key open at the end of what is held?
  bool open_key() const {
    const size_t begin = held_.rfind("-----BEGIN ");
    return begin != std::string::npos && held_.find("-----END ", begin) == std::string::npos;
  }

  bool holds_together(size_t cut) const {
    // A number goes on over ". " and a line's end ends it.
    size_t before = cut;
    while (before > 0 && blank(held_[before - 1])) --before;
    const bool line = std::string_view(held_).substr(before, cut - before).find('\n') != std::string_view::npos;
    if (!line) {
      size_t letter = before;
      while (letter > 0 && (held_[letter - 1] == '.' || held_[letter - 1] == '!' || held_[letter - 1] == '?' || held_[letter - 1] == ')' || held_[letter - 1] == '"' || held_[letter - 1] == '\'')) --letter;
      const bool ends_in_number = letter > 0 && digit(held_[letter - 1]);
      if (ends_in_number && (cut >= held_.size() || digit(held_[cut]) || held_[cut] == '(' || held_[cut] == '+')) return false;
    }
    if (rails_->settings().output_private_data == RailMode::off) return true;
    for (const PrivateSpan& span : spans())
      if (span.begin < released_.size() + cut && span.end > released_.size() + cut) return false;
    return true;
  }

  // Private data in context and held text; positions from the start of the context.
  std::vector<PrivateSpan> spans() const { return find_private_data(released_ + held_); }

  std::string judged(size_t cut) {
    const RailSettings& settings = rails_->settings();
    Rails::Judge judge(*rails_, RailStage::output);
    std::string piece = held_.substr(0, cut);
    const std::string given = piece;
    bool leave_out = false;
    judge.run(RailKind::length, [&](RailFinding& finding) {
      finding.hit = total_ + given.size() > settings.output_longest;
      if (finding.hit) finding.reason = fmt::format("the answer would pass {} bytes, the most that this AI says", settings.output_longest);
    });
    judge.run(RailKind::private_data, [&](RailFinding& finding) {
      std::vector<PrivateSpan> here;
      for (PrivateSpan span : spans()) {
        const size_t begin = std::max(span.begin, released_.size()), end = std::min(span.end, released_.size() + cut);
        if (begin < end) here.push_back({begin - released_.size(), end - released_.size(), span.kind});
      }
      finding.hit = !here.empty();
      if (!finding.hit) return;
      if (finding.mode == RailMode::mask) piece = mask_private_data(given, here);
      finding.reason = (finding.mode == RailMode::mask ? "masked " : "the answer would have held private data: ") + kinds_of(here);
    });
    judge.run(RailKind::words, [&](RailFinding& finding) {
      finding.hit = rails_->words_match(released_ + given);
      // A match that begins here and ends behind the cut; one that lies wholly behind it is judged there.
      const std::string ahead = overlap_ ? held_.substr(cut, kLookAhead) : "";
      if (!finding.hit && !ahead.empty()) finding.hit = rails_->words_match(released_ + given + ahead) && !rails_->words_match(ahead);
      if (finding.hit) finding.reason = "the answer would have held words that this AI's owner has excluded";
    });
    judge.run(RailKind::language, [&](RailFinding& finding) {
      const Language language = language_of(released_ + given);
      finding.score = language.confidence;
      finding.hit = !language.code.empty() && !settings.languages.empty() && std::find(settings.languages.begin(), settings.languages.end(), language.code) == settings.languages.end();
      if (finding.hit) finding.reason = fmt::format("the answer is in another language (\"{}\"); spoken here: {}", language.code, fmt::join(settings.languages, ", "));
    });
    judge.run(RailKind::repetition, [&](RailFinding& finding) {
      finding.score = repetition_of(released_ + given);
      finding.threshold = kRepetitionThreshold;
      finding.hit = *finding.score > kRepetitionThreshold;
      if (finding.hit) finding.reason = "the answer goes round in circles";
    });
    judge.run(RailKind::topic, [&](RailFinding& finding) {
      if (!rails_->topic()) throw Error(ErrorKind::environment, "the topic rail cannot run", "", "");
      const std::string whole = context_.question.empty() ? std::string(given) : context_.question.substr(0, TopicRail::kLongestEncoded) + "\n" + std::string(given);  // it is read again for every sentence
      const TopicRail& rail = *rails_->topic(whole.size());
      const double excess = rail.excess(whole);
      finding.score = rail.score_of(excess);
      finding.threshold = rail.threshold();
      finding.hit = excess < 0;
      if (finding.hit) finding.reason = "the answer leaves what this AI is for";
    });
    if (grounds_) {
      judge.run(RailKind::grounding, [&](RailFinding& finding) {
        if (!grounding_) grounding_ = std::make_unique<Grounding>(context_.documents, context_.question, rails_->word_encoder());
        const Grounding::Support support = grounding_->judge(given);
        finding.score = support.missing.empty() ? support.score : 0;
        finding.threshold = kSupportThreshold;
        finding.hit = !support.supported();
        if (!finding.hit) return;
        finding.reason = "the documents do not bear out a sentence" + (support.missing.empty() ? "" : fmt::format(": \"{}\" is in none of them", support.missing));
        leave_out = finding.mode == RailMode::block;
      });
    }
    const Verdict& verdict = judge.verdict;
    if (!verdict.allowed && !(verdict.rail == "grounding" && leave_out)) return stop(verdict.rail, verdict.reason);
    if (leave_out) {
      ++left_out_;
      return "";
    }
    anything_ |= piece.find_first_not_of(" \t\r\n") != std::string::npos;
    total_ += given.size();
    return piece;
  }

  std::string stop(const std::string& rail, const std::string& reason) {
    stopped_ = true;
    rail_ = rail;
    reason_ = reason;
    return fmt::format("{}[{}]", anything_ ? "\n" : "", reason);
  }

  const std::shared_ptr<const Rails> rails_;
  const AnswerContext context_;
  std::unique_ptr<Grounding> grounding_;
  std::string held_, released_;  // as generated; released_ keeps the end of what was judged
  bool grounds_ = false, overlap_ = false, stopped_ = false, anything_ = false;
  size_t left_out_ = 0, total_ = 0;
  std::string rail_, reason_;
};

}  // namespace

std::unique_ptr<ReleaseGate> make_release_gate(std::shared_ptr<const Rails> rails, AnswerContext context) {
  if (!rails || !rails->any(RailStage::output)) return std::make_unique<OpenGate>();
  return std::make_unique<OutputGate>(std::move(rails), std::move(context));
}

}  // namespace ingot
