#include "guard/rails.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <chrono>
#include <map>

#include "core/error.h"
#include "guard/private_data.h"
#include "text/normalise.h"

namespace ingot {
namespace {

constexpr uint32_t kFormat = 1;

RE2::Options options() {
  RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  options.set_max_mem(int64_t{8} << 20);
  return options;
}

std::string kinds_of(const std::vector<PrivateSpan>& spans) {
  std::map<std::string_view, int> counts;
  for (const PrivateSpan& span : spans) ++counts[name_of(span.kind)];
  std::string list;
  for (const auto& [kind, count] : counts) list += fmt::format("{}{}{}", list.empty() ? "" : ", ", kind, count > 1 ? fmt::format(" ({} times)", count) : "");
  return list;
}

}  // namespace

std::string_view name_of(RailMode mode) {
  switch (mode) {
    case RailMode::off: return "off";
    case RailMode::watch: return "watch";
    case RailMode::block: return "block";
    case RailMode::mask: return "mask";
  }
  return "block";
}

std::string pattern_fault(const std::string& pattern) {
  const RE2 compiled(pattern, options());
  return compiled.ok() ? "" : compiled.error();
}

struct Rails::Patterns {
  std::vector<std::unique_ptr<RE2>> list;
};

Rails::Rails(RailSettings settings, std::optional<TopicRail> topic) : settings_(std::move(settings)), topic_(std::move(topic)) { prepare(); }

void Rails::prepare() {
  auto patterns = std::make_shared<Patterns>();
  for (const std::string& word : settings_.words) patterns->list.push_back(std::make_unique<RE2>(word, options()));
  patterns_ = std::move(patterns);
  if (settings_.topic != RailMode::off && !topic_ && topic_fault_.empty()) topic_fault_ = "it was never trained";
}

bool Rails::any() const {
  return settings_.topic != RailMode::off || settings_.private_data != RailMode::off || !settings_.words.empty() || settings_.longest > 0;
}

Verdict Rails::check(const std::string& given) const {
  const auto start = std::chrono::steady_clock::now();
  Verdict verdict;
  verdict.text = given;
  const auto found = [&](RailMode mode, const char* rail, std::string reason) {
    if (mode == RailMode::watch) {
      verdict.watched.push_back(fmt::format("{}: {}", rail, reason));
    } else if (verdict.allowed) {
      verdict.allowed = false;
      verdict.rail = rail;
      verdict.reason = std::move(reason);
    }
  };
  // A rail that fails has found something: closed, whatever went wrong.
  const auto guarded = [&](RailMode mode, const char* rail, auto&& run) {
    if (mode == RailMode::off) return;
    try {
      run();
    } catch (const std::exception& error) {
      found(mode, rail, fmt::format("the rail could not run, so nothing passes: {}", error.what()));
    }
  };
  if (settings_.longest && given.size() > settings_.longest) {
    found(RailMode::block, "length", fmt::format("the text has {} bytes, this AI takes at most {}", given.size(), settings_.longest));
  } else {
    guarded(settings_.private_data, "private_data", [&] {
      const auto spans = find_private_data(given);
      if (spans.empty()) return;
      if (settings_.private_data == RailMode::mask) {
        verdict.text = mask_private_data(given, spans);
        verdict.watched.push_back("private_data: masked " + kinds_of(spans));
      } else {
        found(settings_.private_data, "private_data", "the text holds private data: " + kinds_of(spans));
      }
    });
    guarded(settings_.words.empty() ? RailMode::off : RailMode::block, "words", [&] {
      const std::string seen = normalise_text(given);
      for (size_t i = 0; i < patterns_->list.size(); ++i) {
        const RE2& pattern = *patterns_->list[i];
        if (!pattern.ok()) throw Error(ErrorKind::altered, "a pattern does not compile", settings_.words[i], "build again");
        // As typed, and as a reader sees it: a zero-width space in the middle of a word hides nothing.
        if (RE2::PartialMatch(given, pattern) || RE2::PartialMatch(seen, pattern)) {
          found(RailMode::block, "words", "the text holds words that this AI's owner has excluded");
          break;
        }
      }
    });
    guarded(settings_.topic, "topic", [&] {
      if (!topic_) throw Error(ErrorKind::environment, topic_fault_, "", "");
      verdict.excess = topic_->excess(verdict.text);
      verdict.score = topic_->score_of(*verdict.excess);
      if (*verdict.excess >= 0) return;
      found(settings_.topic, "topic", settings_.purpose.empty() ? std::string("this is not what this AI is for")
                                                               : fmt::format("this is not what this AI is for; it {}", settings_.purpose));
    });
  }
  verdict.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return verdict;
}

std::string Rails::save() const {
  BlobWriter out;
  out.put(kFormat);
  out.put<uint8_t>(static_cast<uint8_t>(settings_.topic));
  out.put<uint8_t>(static_cast<uint8_t>(settings_.private_data));
  out.put(settings_.words);
  out.put(settings_.longest);
  out.put(std::string_view(settings_.purpose));
  out.put<uint8_t>(topic_.has_value());
  if (topic_) topic_->save(out);
  return out.take();
}

Rails Rails::load(std::span<const std::byte> bytes, std::span<const std::shared_ptr<const TextEncoder>> encoders) {
  BlobReader in(bytes, "guard.bin");
  in.require(in.get<uint32_t>() == kFormat);
  Rails rails;
  for (RailMode* mode : {&rails.settings_.topic, &rails.settings_.private_data}) {
    const auto value = in.get<uint8_t>();
    in.require(value <= static_cast<uint8_t>(RailMode::mask));
    *mode = static_cast<RailMode>(value);
  }
  rails.settings_.words = in.texts();
  rails.settings_.longest = in.get<uint64_t>();
  rails.settings_.purpose = in.text();
  if (in.get<uint8_t>()) {
    rails.topic_ = TopicRail::load(in, encoders);
  }
  in.require(in.done());
  rails.prepare();
  return rails;
}

}  // namespace ingot
