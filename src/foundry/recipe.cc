#include "foundry/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <toml++/toml.h>

#include "core/error.h"
#include "core/files.h"
#include "core/nearest.h"
#include "guard/language.h"
#include "guard/rails.h"

namespace ingot {
namespace {

struct Place {
  std::string where;  // "recipe.toml:12" or "--set"
  std::string key;
};

[[noreturn]] void wrong(const Place& place, const std::string& what, const std::string& todo) {
  throw Error(ErrorKind::recipe, fmt::format("\"{}\" {}", place.key, what), place.where, todo);
}

std::string text_value(const toml::node& node, const Place& place) {
  if (auto value = node.value_exact<std::string>()) return *value;
  wrong(place, "must be a text", fmt::format("write {} = \"...\"", place.key));
}

std::vector<std::string> list_value(const toml::node& node, const Place& place) {
  std::vector<std::string> list;
  if (auto one = node.value_exact<std::string>()) return {*one};
  const toml::array* array = node.as_array();
  if (!array) wrong(place, "must be a list of texts", fmt::format("write {} = [\"...\", \"...\"]", place.key));
  for (const auto& item : *array) list.push_back(text_value(item, place));
  return list;
}

bool bool_value(const toml::node& node, const Place& place) {
  if (auto value = node.value_exact<bool>()) return *value;
  wrong(place, "must be true or false", fmt::format("write {} = true", place.key));
}

double share_value(const toml::node& node, const Place& place, double low, double high) {
  auto value = node.value<double>();
  if (!value || !node.is_number()) wrong(place, "must be a number", fmt::format("write {} = {}", place.key, high));
  if (!(*value >= low && *value <= high)) {
    wrong(place, fmt::format("is {}, outside {} to {}", *value, low, high), "choose a value inside the range");
  }
  return *value;
}

int64_t count_value(const toml::node& node, const Place& place, int64_t low, int64_t high) {
  auto value = node.value_exact<int64_t>();
  if (!value) wrong(place, "must be a whole number", fmt::format("write {} = {}", place.key, low));
  if (*value < low || *value > high) {
    wrong(place, fmt::format("is {}, outside {} to {}", *value, low, high), "choose a value inside the range");
  }
  return *value;
}

RailMode mode_value(const toml::node& node, const Place& place, bool may_mask = false) {
  const std::string value = text_value(node, place);
  for (RailMode mode : {RailMode::off, RailMode::watch, RailMode::block}) {
    if (value == name_of(mode)) return mode;
  }
  if (may_mask && value == name_of(RailMode::mask)) return RailMode::mask;
  wrong(place, fmt::format("is \"{}\"", value), may_mask ? "choose \"off\", \"watch\", \"mask\" or \"block\"" : "choose \"off\", \"watch\" or \"block\"");
}

std::string word_value(const toml::node& node, const Place& place) {
  std::string value = text_value(node, place);
  const bool bad = value.empty() || value.size() > 64 || value.front() == '.' ||
                   value.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != std::string::npos;
  if (bad) wrong(place, fmt::format("is \"{}\"", value), "use 1 to 64 letters, digits, '-', '_' or '.', not starting with '.'");
  return value;
}

using Setter = std::function<void(Recipe&, const toml::node&, const Place&)>;

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> table = {
      {"name", [](Recipe& r, const toml::node& n, const Place& p) { r.name = word_value(n, p); }},
      {"kind",
       [](Recipe& r, const toml::node& n, const Place& p) {
         r.kind = text_value(n, p);
         if (r.kind != "triage" && r.kind != "classify" && r.kind != "chat") {
           wrong(p, fmt::format("is \"{}\"", r.kind), "this version builds \"triage\", \"classify\" and \"chat\"");
         }
       }},
      {"purpose", [](Recipe& r, const toml::node& n, const Place& p) { r.purpose = text_value(n, p); }},
      {"base", [](Recipe& r, const toml::node& n, const Place& p) { r.base = text_value(n, p); }},
      {"data.sources", [](Recipe& r, const toml::node& n, const Place& p) { r.data.sources = list_value(n, p); }},
      {"data.test", [](Recipe& r, const toml::node& n, const Place& p) { r.data.test = list_value(n, p); }},
      {"data.map", [](Recipe& r, const toml::node& n, const Place& p) { r.data.map = text_value(n, p); }},
      {"data.holdout", [](Recipe& r, const toml::node& n, const Place& p) { r.data.holdout = share_value(n, p, 0.02, 0.5); }},
      {"data.max_records",
       [](Recipe& r, const toml::node& n, const Place& p) { r.data.max_records = count_value(n, p, 100, 10'000'000); }},
      {"train.llama", [](Recipe& r, const toml::node& n, const Place& p) { r.train.llama = bool_value(n, p); }},
      {"train.similar", [](Recipe& r, const toml::node& n, const Place& p) { r.train.similar = bool_value(n, p); }},
      {"train.activity", [](Recipe& r, const toml::node& n, const Place& p) { r.train.activity = bool_value(n, p); }},
      {"train.ablation", [](Recipe& r, const toml::node& n, const Place& p) { r.train.ablation = bool_value(n, p); }},
      {"train.seed", [](Recipe& r, const toml::node& n, const Place& p) { r.train.seed = count_value(n, p, 0, int64_t{1} << 53); }},
      {"chat.system", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.system = text_value(n, p); }},
      {"chat.rank", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.rank = count_value(n, p, 1, 4096); }},
      {"chat.alpha", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.alpha = share_value(n, p, 0.01, 10000); }},
      {"chat.epochs", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.epochs = share_value(n, p, 0.01, 1000); }},
      {"chat.rate", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.rate = share_value(n, p, 1e-8, 1); }},
      {"chat.batch", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.batch = count_value(n, p, 1, 65536); }},
      {"chat.max_steps", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.max_steps = count_value(n, p, 0, 10'000'000); }},
      {"chat.longest", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.longest = count_value(n, p, 16, 1 << 20); }},
      {"chat.too_long",
       [](Recipe& r, const toml::node& n, const Place& p) {
         r.chat.too_long = text_value(n, p);
         if (r.chat.too_long != "refuse" && r.chat.too_long != "window") wrong(p, fmt::format("is \"{}\"", r.chat.too_long), "choose \"refuse\" or \"window\"");
       }},
      {"chat.micro_tokens", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.micro_tokens = count_value(n, p, 16, 1 << 24); }},
      {"chat.recompute", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.recompute = bool_value(n, p); }},
      {"chat.judged", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.judged = count_value(n, p, 1, 100000); }},
      {"chat.max_tokens", [](Recipe& r, const toml::node& n, const Place& p) { r.chat.max_tokens = count_value(n, p, 1, 1 << 20); }},
      {"chat.full", [](Recipe& r, const toml::node& n, const Place& p) { r.pack_full = bool_value(n, p); }},
      {"guard.topic", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.topic = mode_value(n, p); }},
      {"guard.private_data", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.private_data = mode_value(n, p, true); }},
      {"guard.injection", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.injection = mode_value(n, p); }},
      {"guard.topic_keep", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.topic_keep = share_value(n, p, 0.5, 0.999); }},
      {"guard.topic_stop", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.topic_stop = share_value(n, p, 0, 0.999); }},
      {"guard.examples", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.examples = list_value(n, p); }},
      {"guard.never", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.never = list_value(n, p); }},
      {"guard.words",
       [](Recipe& r, const toml::node& n, const Place& p) {
         r.guard.words = list_value(n, p);
         for (const std::string& pattern : r.guard.words) {
           if (const std::string fault = pattern_fault(pattern); !fault.empty()) wrong(p, fmt::format("holds \"{}\", which is no pattern: {}", pattern, fault), "mend it; RE2's syntax counts");
         }
       }},
      {"guard.longest", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.longest = count_value(n, p, 0, int64_t{1} << 40); }},
      {"guard.language", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.language = mode_value(n, p); }},
      {"guard.languages",
       [](Recipe& r, const toml::node& n, const Place& p) {
         r.guard.languages = list_value(n, p);
         const auto known = known_languages();
         for (const std::string& code : r.guard.languages) {
           if (std::find(known.begin(), known.end(), code) == known.end()) wrong(p, fmt::format("holds \"{}\"", code), fmt::format("choose from {}", fmt::join(known, ", ")));
         }
       }},
      {"guard.repetition", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.repetition = mode_value(n, p); }},
      {"guard.encoder", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.encoder = text_value(n, p); }},
      {"guard.open",
       [](Recipe& r, const toml::node& n, const Place& p) {
         r.guard.open = list_value(n, p);
         for (const std::string& rail : r.guard.open) {
           bool known = false;
           for (int kind = 0; kind < kRails; ++kind) known |= rail == name_of(static_cast<RailKind>(kind));
           if (!known) wrong(p, fmt::format("holds \"{}\", which is no rail", rail), "name rails such as \"topic\" or \"injection\"");
         }
       }},
      {"guard.retrieved.injection", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.retrieved.injection = mode_value(n, p); }},
      {"guard.retrieved.private_data", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.retrieved.private_data = mode_value(n, p, true); }},
      {"guard.output.topic", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.output.topic = mode_value(n, p); }},
      {"guard.output.private_data", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.output.private_data = mode_value(n, p, true); }},
      {"guard.output.language", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.output.language = mode_value(n, p); }},
      {"guard.output.repetition", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.output.repetition = mode_value(n, p); }},
      {"guard.output.grounding", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.output.grounding = mode_value(n, p); }},
      {"guard.output.longest", [](Recipe& r, const toml::node& n, const Place& p) { r.guard.output.longest = count_value(n, p, 0, int64_t{1} << 40); }},
      {"gate.engineer_top1", [](Recipe& r, const toml::node& n, const Place& p) { r.gate.engineer_top1 = share_value(n, p, 0, 1); }},
      {"gate.component_top1", [](Recipe& r, const toml::node& n, const Place& p) { r.gate.component_top1 = share_value(n, p, 0, 1); }},
      {"gate.accuracy", [](Recipe& r, const toml::node& n, const Place& p) { r.gate.accuracy = share_value(n, p, 0, 1); }},
      {"gate.rouge_l", [](Recipe& r, const toml::node& n, const Place& p) { r.gate.rouge_l = share_value(n, p, 0, 1); }},
      {"gate.beat_base", [](Recipe& r, const toml::node& n, const Place& p) { r.gate.beat_base = bool_value(n, p); }},
      {"gate.beat_majority", [](Recipe& r, const toml::node& n, const Place& p) { r.gate.beat_majority = bool_value(n, p); }},
      {"fly.may_lose", [](Recipe& r, const toml::node& n, const Place& p) { r.fly.may_lose = share_value(n, p, 0, 1); }},
      {"fly.may_forget", [](Recipe& r, const toml::node& n, const Place& p) { r.fly.may_forget = share_value(n, p, 0, 1); }},
      {"fly.must_gain", [](Recipe& r, const toml::node& n, const Place& p) { r.fly.must_gain = share_value(n, p, -1, 1); }},
      {"fly.fewest", [](Recipe& r, const toml::node& n, const Place& p) { r.fly.fewest = count_value(n, p, 10, 10'000'000); }},
      {"serve.flywheel", [](Recipe& r, const toml::node& n, const Place& p) { r.serve.flywheel = bool_value(n, p); }},
      {"serve.turn_after", [](Recipe& r, const toml::node& n, const Place& p) { r.serve.turn_after = count_value(n, p, 1, 1'000'000); }},
  };
  return table;
}

const std::set<std::string>& sections() {
  static const std::set<std::string> names = {"data", "train", "chat", "guard", "guard.retrieved", "guard.output", "gate", "fly", "serve"};
  return names;
}

[[noreturn]] void unknown_key(const Place& place) {
  const auto known = recipe_keys();
  const std::string near = nearest_name(place.key, known);
  throw Error(ErrorKind::recipe, fmt::format("unknown key \"{}\"", place.key), place.where,
              near.empty() ? "see docs/recipe.md for the keys a recipe may have" : fmt::format("did you mean \"{}\"?", near));
}

void apply(Recipe& recipe, const toml::table& table, const std::string& prefix, const std::string& where) {
  for (const auto& [key, node] : table) {
    const std::string full = prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key.str());
    const Place place{fmt::format("{}:{}", where, static_cast<unsigned>(key.source().begin.line)), full};
    if (const toml::table* inner = node.as_table(); inner && sections().contains(full)) {
      apply(recipe, *inner, full, where);
    } else if (auto setter = setters().find(full); setter != setters().end()) {
      setter->second(recipe, node, place);
    } else {
      unknown_key(place);
    }
  }
}

constexpr std::string_view kSetLine = "# --set ";

void apply_setting(Recipe& recipe, const std::string& setting) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is not KEY=VALUE", setting), "--set", "write for example --set guard.topic=block");
  }
  const std::string key = setting.substr(0, equals), value = setting.substr(equals + 1);
  auto setter = setters().find(key);
  if (setter == setters().end()) unknown_key({"--set", key});
  // A value that is no TOML is a text: --set guard.topic=block needs no quotes inside quotes.
  toml::table table;
  try {
    table = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    table.insert("value", value);
  }
  setter->second(recipe, *table.get("value"), {"--set", key});
}

}  // namespace

std::vector<std::string> recipe_keys() {
  std::vector<std::string> keys;
  for (const auto& [key, setter] : setters()) keys.push_back(key);
  return keys;
}

Recipe parse_recipe(std::string_view text, const std::string& where, const std::vector<std::string>& settings) {
  Recipe recipe;
  recipe.text = std::string(text);
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw Error(ErrorKind::recipe, fmt::format("not valid TOML: {}", error.description()),
                fmt::format("{}:{}", where, static_cast<unsigned>(error.source().begin.line)), "mend the line");
  }
  apply(recipe, table, "", where);
  for (const std::string& setting : settings) {
    apply_setting(recipe, setting);
    std::string line = setting;
    if (std::any_of(line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; })) {  // one line each: as a TOML string, which JSON's is
      const size_t value = line.find('=') + 1;
      line = line.substr(0, value) + nlohmann::json(line.substr(value)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    recipe.text += fmt::format("{}{}{}\n", recipe.text.empty() || recipe.text.back() == '\n' ? "" : "\n", kSetLine, line);
  }
  return recipe;
}

Recipe packed_recipe(std::string_view text, const std::string& where) {
  std::vector<std::string> settings;
  size_t end = text.size();
  while (end > 0) {  // the last lines, from the end
    const size_t line = end >= 2 ? text.rfind('\n', end - 2) + 1 : 0;  // npos + 1 is 0
    if (text[end - 1] != '\n' || !text.substr(line, end - line).starts_with(kSetLine)) break;
    settings.emplace(settings.begin(), text.substr(line + kSetLine.size(), end - 1 - line - kSetLine.size()));
    end = line;
  }
  return parse_recipe(text.substr(0, end), where, settings);
}

Recipe read_recipe(const std::filesystem::path& folder_or_file, const std::vector<std::string>& settings) {
  std::filesystem::path file = folder_or_file;
  if (std::filesystem::is_directory(file)) file /= "recipe.toml";
  // A recipe that ships with Ingot is found from any folder.
  if (!std::filesystem::exists(file) && folder_or_file.is_relative()) {
    const auto shipped = share_dir() / folder_or_file / "recipe.toml";
    if (std::filesystem::exists(shipped)) file = shipped;
  }
  if (!std::filesystem::exists(file)) {
    throw Error(ErrorKind::recipe, "there is no recipe here", file.string(), "make one with: ingot new FOLDER --from SOURCE");
  }
  Recipe recipe = parse_recipe(read_file(file, size_t{1} << 20), file.string(), settings);
  recipe.folder = file.parent_path();
  return recipe;
}

}  // namespace ingot
