#include "serve/tool_calls.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>", kCallTag = "<tool_call>", kCallEnd = "</tool_call>", kPythonTag = "<|python_tag|>",
                           kMistralTag = "[TOOL_CALLS]", kFunctionTag = "<function=", kGemmaTag = "<start_function_call>";

bool space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

// How much of the end of `text` may be the beginning of `marker`.
size_t begun(std::string_view text, std::string_view marker) {
  for (size_t n = std::min(text.size(), marker.size() - 1); n > 0; --n)
    if (text.ends_with(marker.substr(0, n))) return n;
  return 0;
}

Json parse_json(std::string_view text) {
  return Json::parse(text, [](int depth, Json::parse_event_t, const Json&) { return depth < 64; }, false);
}

std::string text_of(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

bool call_of(const Json& object, std::vector<AnswerPart>& out) {
  if (!object.is_object()) return false;
  if (object.contains("function") && object["function"].is_object()) return call_of(object["function"], out);
  const auto name = object.find("name");
  if (name == object.end() || !name->is_string()) return false;
  auto arguments = object.find("arguments");
  if (arguments == object.end()) arguments = object.find("parameters");
  std::string text = "{}";
  if (arguments != object.end() && !arguments->is_null()) {
    if (arguments->is_string()) {
      if (!parse_json(arguments->get_ref<const std::string&>()).is_object()) return false;
      text = arguments->get<std::string>();
    } else if (arguments->is_object()) {
      text = text_of(*arguments);
    } else {
      return false;
    }
  }
  out.push_back({AnswerPart::kToolCall, "", name->get<std::string>(), std::move(text)});
  return true;
}

bool calls_of(const Json& value, std::vector<AnswerPart>& out) {
  if (!value.is_array()) return call_of(value, out);
  std::vector<AnswerPart> all;
  for (const Json& one : value)
    if (!call_of(one, all)) return false;
  out.insert(out.end(), all.begin(), all.end());
  return !all.empty();
}

// <function=NAME>{...}</function> (Llama 3.1) and <function=NAME><parameter=KEY>VALUE</parameter>...</function> (Qwen 3 Coder).
bool function_tag(std::string_view text, std::vector<AnswerPart>& out) {
  if (!text.starts_with(kFunctionTag)) return false;
  const size_t close = text.find('>');
  if (close == std::string_view::npos) return false;
  const std::string name(trimmed(text.substr(kFunctionTag.size(), close - kFunctionTag.size())));
  std::string_view inside = text.substr(close + 1);
  inside = trimmed(inside.substr(0, inside.rfind("</function>")));
  if (inside.starts_with('{')) {
    const Json arguments = parse_json(inside);
    if (!arguments.is_object()) return false;
    out.push_back({AnswerPart::kToolCall, "", name, text_of(arguments)});
    return true;
  }
  Json arguments = Json::object();
  constexpr std::string_view kParameter = "<parameter=", kParameterEnd = "</parameter>";
  while (!inside.empty()) {
    if (!inside.starts_with(kParameter)) return false;
    const size_t key_end = inside.find('>'), value_end = inside.find(kParameterEnd);
    if (key_end == std::string_view::npos || value_end == std::string_view::npos || value_end < key_end) return false;
    const std::string_view value = trimmed(inside.substr(key_end + 1, value_end - key_end - 1));
    Json parsed = parse_json(value);
    arguments[std::string(inside.substr(kParameter.size(), key_end - kParameter.size()))] = parsed.is_discarded() ? Json(std::string(value)) : std::move(parsed);
    inside = trimmed(inside.substr(value_end + kParameterEnd.size()));
  }
  out.push_back({AnswerPart::kToolCall, "", name, text_of(arguments)});
  return true;
}

// [TOOL_CALLS][{...}, ...] and the later [TOOL_CALLS]NAME[ARGS]{...}, any number of them.
bool mistral_calls(std::string_view text, std::vector<AnswerPart>& out) {
  std::vector<AnswerPart> all;
  while (text.starts_with(kMistralTag)) {
    text = trimmed(text.substr(kMistralTag.size()));
    size_t next = text.find(kMistralTag);
    std::string_view one = trimmed(text.substr(0, next));
    text = next == std::string_view::npos ? std::string_view() : text.substr(next);
    if (one.starts_with('[')) {
      if (!calls_of(parse_json(one), all)) return false;
      continue;
    }
    const size_t brace = one.find('{');
    if (brace == std::string_view::npos) return false;
    std::string_view name = trimmed(one.substr(0, brace));
    for (std::string_view tag : {"[CALL_ID]", "[ARGS]"}) name = name.substr(0, name.find(tag));
    const Json arguments = parse_json(one.substr(brace));
    if (name.empty() || !arguments.is_object()) return false;
    all.push_back({AnswerPart::kToolCall, "", std::string(name), text_of(arguments)});
  }
  out.insert(out.end(), all.begin(), all.end());
  return !all.empty();
}

// <start_function_call>call:NAME{key:<escape>text<escape>,other:3}<end_function_call>
bool gemma_calls(std::string_view text, std::vector<AnswerPart>& out) {
  std::vector<AnswerPart> all;
  constexpr std::string_view kEnd = "<end_function_call>", kCall = "call:", kEscape = "<escape>";
  while (text.starts_with(kGemmaTag)) {
    text.remove_prefix(kGemmaTag.size());
    const size_t end = text.find(kEnd);
    std::string_view one = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : trimmed(text.substr(end + kEnd.size()));
    const size_t brace = one.find('{');
    if (!one.starts_with(kCall) || brace == std::string_view::npos || !one.ends_with('}')) return false;
    const std::string name(one.substr(kCall.size(), brace - kCall.size()));
    one = one.substr(brace + 1, one.size() - brace - 2);
    Json arguments = Json::object();
    while (!one.empty()) {
      const size_t colon = one.find(':');
      if (colon == std::string_view::npos) return false;
      const std::string key(trimmed(one.substr(0, colon)));
      one.remove_prefix(colon + 1);
      if (one.starts_with(kEscape)) {
        const size_t close = one.find(kEscape, kEscape.size());
        if (close == std::string_view::npos) return false;
        arguments[key] = std::string(one.substr(kEscape.size(), close - kEscape.size()));
        one.remove_prefix(close + kEscape.size());
      } else {
        const size_t comma = one.find(',');
        const std::string_view value = trimmed(one.substr(0, comma));
        Json parsed = parse_json(value);
        arguments[key] = parsed.is_discarded() ? Json(std::string(value)) : std::move(parsed);
        one.remove_prefix(std::min(one.size(), comma));
      }
      if (one.starts_with(',')) one.remove_prefix(1);
    }
    all.push_back({AnswerPart::kToolCall, "", name, text_of(arguments)});
  }
  out.insert(out.end(), all.begin(), all.end());
  return !all.empty();
}

// JSON objects one after the other, separated by white space, commas or semicolons.
bool json_calls(std::string_view text, std::vector<AnswerPart>& out) {
  std::vector<AnswerPart> all;
  text = trimmed(text);
  if (calls_of(parse_json(text), out)) return true;
  while (!text.empty()) {
    if (text.front() != '{') return false;
    int depth = 0;
    bool quoted = false;
    size_t end = 0;
    for (; end < text.size(); ++end) {
      const char c = text[end];
      if (quoted) {
        if (c == '\\') ++end;
        else if (c == '"') quoted = false;
      } else if (c == '"') {
        quoted = true;
      } else if (c == '{') {
        ++depth;
      } else if (c == '}' && --depth == 0) {
        break;
      }
    }
    if (end >= text.size() || !call_of(parse_json(text.substr(0, end + 1)), all)) return false;
    text = trimmed(text.substr(end + 1));
    while (!text.empty() && (text.front() == ';' || text.front() == ',' || space(text.front()))) text.remove_prefix(1);
  }
  out.insert(out.end(), all.begin(), all.end());
  return !all.empty();
}

std::string_view without_fence(std::string_view text) {
  text = trimmed(text);
  if (!text.starts_with("```")) return text;
  const size_t line = text.find('\n');
  if (line == std::string_view::npos) return text;
  text.remove_prefix(line + 1);
  return trimmed(text.substr(0, text.rfind("```")));
}

}  // namespace

ToolFormat tool_format_of(std::string_view t) {
  if (t.find("[TOOL_CALLS]") != t.npos) return ToolFormat::kMistral;
  if (t.find("<tool_call>") != t.npos) return ToolFormat::kHermes;
  if (t.find("<|python_tag|>") != t.npos || (t.find("<|start_header_id|>") != t.npos && t.find("\"parameters\"") != t.npos)) return ToolFormat::kLlama;
  if (t.find("<start_of_turn>") != t.npos) return ToolFormat::kGemma;
  return ToolFormat::kHermes;
}

AnswerParser::AnswerParser(ToolFormat format, bool may_think, bool thinking)
    : format_(format), may_think_(may_think || thinking), state_(thinking ? State::kThinking : may_think ? State::kStart : State::kText) {}

std::vector<AnswerPart> AnswerParser::push(std::string_view text) {
  held_ += text;
  std::vector<AnswerPart> out;
  step(false, out);
  return out;
}

std::vector<AnswerPart> AnswerParser::finish() {
  std::vector<AnswerPart> out;
  step(true, out);
  space_.clear();
  return out;
}

void AnswerParser::release(std::string_view text, std::vector<AnswerPart>& out) {
  if (text.empty()) return;
  std::string all;
  if (format_ != ToolFormat::kNone || may_think_) {  // white space around calls and thoughts belongs to nobody
    space_ += text;
    if (thought_ && !said_) {
      size_t blank = 0;
      while (blank < space_.size() && space(space_[blank])) ++blank;
      space_.erase(0, blank);
    }
    size_t keep = space_.size();
    while (keep > 0 && space(space_[keep - 1])) --keep;
    if (!keep) return;
    all = space_.substr(0, keep);
    space_.erase(0, keep);
  } else {
    all = text;
  }
  said_ = true;
  out.push_back({AnswerPart::kContent, std::move(all), "", ""});
}

bool AnswerParser::read_calls(std::string_view text, std::vector<AnswerPart>& out) {
  const size_t before = out.size();
  text = trimmed(text);
  bool read = false;
  switch (format_) {
    case ToolFormat::kHermes: read = function_tag(text, out) || json_calls(text, out); break;
    case ToolFormat::kMistral: read = mistral_calls(text, out); break;
    case ToolFormat::kLlama:
      if (text.starts_with(kPythonTag)) text = trimmed(text.substr(kPythonTag.size()));
      read = function_tag(text, out) || json_calls(text, out) || read_python_calls(text, out);
      break;
    case ToolFormat::kGemma: read = gemma_calls(text, out) || json_calls(without_fence(text), out) || read_python_calls(without_fence(text), out); break;
    case ToolFormat::kWhole: read = json_calls(text, out); break;
    case ToolFormat::kNone: break;
  }
  if (read) calls_ += out.size() - before;
  return read;
}

void AnswerParser::step(bool last, std::vector<AnswerPart>& out) {
  for (;;) {
    if (state_ == State::kStart) {
      const std::string_view text = trimmed(held_);
      if (text.starts_with(kThink)) {
        held_.erase(0, held_.find(kThink) + kThink.size());
        state_ = State::kThinking;
      } else if (!last && (text.empty() || kThink.starts_with(text))) {
        return;
      } else {
        state_ = State::kText;
      }
    } else if (state_ == State::kThinking) {
      const size_t end = held_.find(kThinkEnd);
      const size_t certain = end != held_.npos ? end : held_.size() - (last ? 0 : begun(held_, kThinkEnd));
      if (certain) out.push_back({AnswerPart::kReasoning, held_.substr(0, certain), "", ""});
      held_.erase(0, certain);
      if (end == held_.npos) return;
      held_.erase(0, kThinkEnd.size());
      thought_ = true;
      state_ = State::kText;
    } else if (state_ == State::kText) {
      const std::string_view text = trimmed(held_);
      if (text.empty() && !last && !said_) return;
      if (format_ == ToolFormat::kWhole) {
        state_ = State::kCall;
        continue;
      }
      // Calls that fill the whole answer from its beginning.
      if (!said_ && !text.empty() && (format_ == ToolFormat::kLlama || format_ == ToolFormat::kGemma)) {
        static constexpr std::array<std::string_view, 5> kLlamaStarts{"{", kPythonTag, kFunctionTag, "[", "[{"};
        static constexpr std::array<std::string_view, 6> kGemmaStarts{"{", "[", "```tool_code", "```json", kGemmaTag, "```tool_call"};
        bool is = false, may = false;
        const auto look = [&](std::string_view start) {
          is = is || text.starts_with(start);
          may = may || start.starts_with(text);
        };
        if (format_ == ToolFormat::kLlama) std::for_each(kLlamaStarts.begin(), kLlamaStarts.end(), look);
        else std::for_each(kGemmaStarts.begin(), kGemmaStarts.end(), look);
        if (is) {
          state_ = State::kCall;
          continue;
        }
        if (may && !last) return;
      }
      const std::string_view tag = format_ == ToolFormat::kHermes ? kCallTag : format_ == ToolFormat::kMistral ? kMistralTag : std::string_view();
      if (tag.empty()) {
        release(held_, out);
        held_.clear();
        return;
      }
      const size_t at = held_.find(tag);
      const size_t certain = at != held_.npos ? at : held_.size() - (last ? 0 : begun(held_, tag));
      release(std::string_view(held_).substr(0, certain), out);
      held_.erase(0, certain);
      if (at == held_.npos) return;
      if (format_ == ToolFormat::kHermes) held_.erase(0, kCallTag.size());
      state_ = State::kCall;
    } else {  // kCall
      const size_t end = format_ == ToolFormat::kHermes ? held_.find(kCallEnd) : held_.npos;
      if (end == held_.npos && !last) return;
      const std::string inside = held_.substr(0, end);
      held_.erase(0, end == held_.npos ? held_.size() : end + kCallEnd.size());
      if (!read_calls(inside, out)) {  // not a call after all: it is what the model said
        std::string said = inside;
        if (format_ == ToolFormat::kHermes) said = std::string(kCallTag) + inside + (end == held_.npos ? "" : std::string(kCallEnd));
        release(said, out);
      }
      state_ = State::kText;
      if (held_.empty()) return;
    }
  }
}

}  // namespace ingot
