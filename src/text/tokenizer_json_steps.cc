#include "text/tokenizer_json_steps.h"

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace ingot {
namespace {

using Json = nlohmann::json;

constexpr int kMostNesting = 8;

std::string type_of(const Json& json) { return json.is_object() && json.contains("type") && json["type"].is_string() ? json["type"].get<std::string>() : "(none)"; }

[[noreturn]] void refuse(const char* what, const Json& json, const std::string& name) {
  refuse_tokenizer(std::string("the ") + what + " of type " + type_of(json) + " " + json.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 200) + " is not supported", name);
}

std::string decode_base64(std::string_view text, const std::string& name) {
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    int v;
    if (c >= 'A' && c <= 'Z') v = c - 'A';
    else if (c >= 'a' && c <= 'z') v = c - 'a' + 26;
    else if (c >= '0' && c <= '9') v = c - '0' + 52;
    else if (c == '+') v = 62;
    else if (c == '/') v = 63;
    else if (c == '=') break;
    else refuse_tokenizer("the character map is no base64", name);
    bits = bits << 6 | static_cast<uint32_t>(v);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>(bits >> held & 0xff);
    }
  }
  return out;
}

void normalizer(const Json& json, TokenizerParts& p, int depth) {
  const std::string type = type_of(json);
  auto& steps = p.normalize;
  if (type == "Sequence" && depth < kMostNesting) {
    for (const Json& one : json.at("normalizers")) normalizer(one, p, depth + 1);
  } else if (type == "NFC") {
    steps.push_back(unicode_step(UnicodeForm::kNfc));
  } else if (type == "NFD") {
    steps.push_back(unicode_step(UnicodeForm::kNfd));
  } else if (type == "NFKC") {
    steps.push_back(unicode_step(UnicodeForm::kNfkc));
  } else if (type == "NFKD") {
    steps.push_back(unicode_step(UnicodeForm::kNfkd));
  } else if (type == "Lowercase") {
    steps.push_back(lower_step());
  } else if (type == "StripAccents") {
    steps.push_back(strip_accents_step());
  } else if (type == "Strip") {
    steps.push_back(strip_step(json.value("strip_left", true), json.value("strip_right", true)));
  } else if (type == "Nmt") {
    steps.push_back(nmt_step());
  } else if (type == "Prepend") {
    steps.push_back(prepend_step(json.at("prepend").get<std::string>()));
  } else if (type == "Replace") {
    const Json& pattern = json.at("pattern");
    if (pattern.contains("String")) steps.push_back(replace_step(pattern["String"].get<std::string>(), json.at("content").get<std::string>()));
    else if (pattern.value("Regex", "") == " {2,}") steps.push_back(replace_runs_step(" ", 2, json.at("content").get<std::string>()));
    else refuse("normalizer", json, p.name);
  } else if (type == "BertNormalizer") {
    const bool lower = json.value("lowercase", true);
    const bool accents = json.contains("strip_accents") && json["strip_accents"].is_boolean() ? json["strip_accents"].get<bool>() : lower;
    steps.push_back(bert_step({json.value("clean_text", true), json.value("handle_chinese_chars", true), accents, lower}));
  } else if (type == "Precompiled") {
    const Json& blob = json.contains("precompiled_charsmap") ? json["precompiled_charsmap"] : Json();
    if (!blob.is_string() || blob.get_ref<const std::string&>().empty()) return;
    p.character_map = std::make_shared<const CharacterMap>(decode_base64(blob.get_ref<const std::string&>(), p.name), p.name);
    steps.push_back(precompiled_step(p.character_map));
  } else {
    refuse("normalizer", json, p.name);
  }
}

bool pre_tokenizer(const Json& json, TokenizerParts& p, int depth) {
  const std::string type = type_of(json);
  auto& cuts = p.cuts;
  if (type == "Sequence" && depth < kMostNesting) {
    bool bytes = false;
    for (const Json& one : json.at("pretokenizers")) {
      if (bytes) refuse("pre-tokenizer after bytes", one, p.name);
      bytes = pre_tokenizer(one, p, depth + 1);
    }
    return bytes;
  }
  if (type == "ByteLevel") {
    if (json.value("add_prefix_space", true)) cuts.push_back({CutKind::kPrefixSpace});
    if (json.value("use_regex", true)) cuts.push_back({CutKind::kGpt2});
    return true;
  }
  if (type == "Split") {
    const Json& pattern = json.at("pattern");
    const std::string behavior = json.at("behavior").get<std::string>();
    const bool invert = json.value("invert", false);
    if (pattern.contains("Regex")) {
      const auto kind = cut_of_regex(pattern["Regex"].get_ref<const std::string&>());
      // These expressions match all text, so the two ways to write it cut alike.
      if (kind && ((behavior == "Isolated" && !invert) || (behavior == "Removed" && invert))) {
        cuts.push_back({*kind});
        return false;
      }
    } else if (pattern.value("String", "") == " " && behavior == "MergedWithPrevious" && !invert) {
      cuts.push_back({CutKind::kSpaceAfter});
      return false;
    }
    refuse("pre-tokenizer", json, p.name);
  }
  if (type == "Digits") {
    cuts.push_back({json.value("individual_digits", false) ? CutKind::kDigit : CutKind::kDigits});
  } else if (type == "Metaspace") {
    if (json.value("replacement", std::string(kMetaspaceMark)) != kMetaspaceMark) refuse("pre-tokenizer", json, p.name);
    std::string scheme = json.value("prepend_scheme", "always");
    if (json.contains("add_prefix_space") && json["add_prefix_space"].is_boolean() && !json["add_prefix_space"].get<bool>()) scheme = "never";
    if (scheme != "always" && scheme != "first" && scheme != "never") refuse("pre-tokenizer", json, p.name);
    const bool split = !json.contains("split") || json["split"].is_null() || json["split"].get<bool>();
    cuts.push_back({CutKind::kMetaspace, scheme == "always" ? Prefix::kAlways : scheme == "first" ? Prefix::kFirst : Prefix::kNever, split});
  } else if (type == "Whitespace") {
    cuts.push_back({CutKind::kWords});
  } else if (type == "WhitespaceSplit") {
    cuts.push_back({CutKind::kWhiteSpace});
  } else if (type == "Punctuation" && json.value("behavior", "Isolated") == "Isolated") {
    cuts.push_back({CutKind::kPunctuation});
  } else if (type == "BertPreTokenizer") {
    cuts.push_back({CutKind::kWhiteSpace});
    cuts.push_back({CutKind::kPunctuation});
  } else {
    refuse("pre-tokenizer", json, p.name);
  }
  return false;
}

void decoder(const Json& json, TokenizerParts& p, int depth) {
  const std::string type = type_of(json);
  Decoding& d = p.decoding;
  if (type == "Sequence" && depth < kMostNesting) {
    for (const Json& one : json.at("decoders")) decoder(one, p, depth + 1);
  } else if (type == "ByteLevel" || type == "Fuse") {
    return;
  } else if (type == "ByteFallback") {
    d.byte_tokens = true;
  } else if (type == "Metaspace") {
    d.marks_are_spaces = true;
    const bool never = json.value("prepend_scheme", "always") == "never" || !json.value("add_prefix_space", true);
    d.strip_first_token = !never;
  } else if (type == "WordPiece") {
    d.words = true;
    d.clean_up = json.value("cleanup", true);
    p.word_prefix = json.value("prefix", "##");
  } else if (type == "Replace" && json.at("pattern").value("String", "") == kMetaspaceMark && json.value("content", "") == " ") {
    d.marks_are_spaces = true;
  } else if (type == "Strip" && json.value("content", "") == " " && json.value("start", 0) <= 1 && json.value("stop", 0) == 0) {
    d.strip_first = json.value("start", 0) == 1;
  } else {
    refuse("decoder", json, p.name);
  }
}

void post_processor(const Json& json, TokenizerParts& p, int depth) {
  const std::string type = type_of(json);
  auto id_of = [&](const Json& id) {
    const auto value = id.get<int64_t>();
    if (value < 0 || value > INT32_MAX) refuse("post-processor", json, p.name);
    return static_cast<int32_t>(value);
  };
  if (type == "Sequence" && depth < kMostNesting) {
    for (const Json& one : json.at("processors")) post_processor(one, p, depth + 1);
  } else if (type == "ByteLevel") {
    return;
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    p.before = {id_of(json.at("cls").at(1))};
    p.after = {id_of(json.at("sep").at(1))};
  } else if (type == "TemplateProcessing") {
    bool seen = false;
    p.before.clear();
    p.after.clear();
    for (const Json& part : json.at("single")) {
      if (part.contains("Sequence")) {
        if (seen) refuse("post-processor", json, p.name);
        seen = true;
        continue;
      }
      for (const Json& id : json.at("special_tokens").at(part.at("SpecialToken").at("id").get<std::string>()).at("ids"))
        (seen ? p.after : p.before).push_back(id_of(id));
    }
  } else {
    refuse("post-processor", json, p.name);
  }
}

}  // namespace

void read_normalizer(const Json& json, TokenizerParts& parts) {
  if (!json.is_null()) normalizer(json, parts, 0);
}

bool read_pre_tokenizer(const Json& json, TokenizerParts& parts) { return !json.is_null() && pre_tokenizer(json, parts, 0); }

void read_decoder(const Json& json, TokenizerParts& parts) {
  if (!json.is_null()) decoder(json, parts, 0);
}

void read_post_processor(const Json& json, TokenizerParts& parts) {
  if (!json.is_null()) post_processor(json, parts, 0);
}

}  // namespace ingot
