#include "foundry/chat/chat_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "core/error.h"
#include "core/files.h"
#include "foundry/build.h"
#include "foundry/sources/source.h"

namespace ingot {
namespace {

using nlohmann::json;

// The pairs of names that files use for what is asked and what should be said.
constexpr std::pair<const char*, const char*> kPairs[] = {
    {"prompt", "completion"}, {"question", "answer"}, {"instruction", "output"}, {"prompt", "response"}, {"input", "output"}, {"text", "summary"}};

struct Columns {
  std::string prompt, completion, system, time;
};

std::string named(const ColumnMap& map, const char* field) {
  auto found = map.find(field);
  return found == map.end() ? "" : found->second;
}

// What a message's content may be: a text, or parts of which the text ones count.
std::optional<std::string> content_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return std::nullopt;
  std::string text;
  for (const json& part : value) {
    if (!part.is_object() || part.value("type", "") != "text" || !part.contains("text") || !part["text"].is_string()) return std::nullopt;
    text += part["text"].get<std::string>();
  }
  return text;
}

// Empty and `why` set when the list is not understood.
std::vector<ChatMessage> messages_of(const json& list, std::string& why) {
  std::vector<ChatMessage> out;
  for (const json& one : list) {
    if (!one.is_object()) return why = "a message is no object", std::vector<ChatMessage>();
    const bool shared = one.contains("from");
    const json role = one.value(shared ? "from" : "role", json());
    const auto content = content_of(one.value(shared ? "value" : "content", json()));
    if (!role.is_string() || !content) return why = "a message without role or text", std::vector<ChatMessage>();
    std::string name = role.get<std::string>();
    if (name == "human") name = "user";
    if (name == "gpt" || name == "bot" || name == "model") name = "assistant";
    if (name != "system" && name != "user" && name != "assistant") return why = "a message of role \"" + name.substr(0, 40) + "\"", std::vector<ChatMessage>();
    if (one.contains("tool_calls") && !one["tool_calls"].is_null()) return why = "a message that calls tools", std::vector<ChatMessage>();
    out.push_back({name, *content});
  }
  if (out.empty()) why = "no message";
  return out;
}

std::string text_at(const json& object, const std::string& key) {
  auto found = key.empty() ? object.end() : object.find(key);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::vector<ChatMessage> messages_in(const json& object, const Columns& columns, std::string& why) {
  for (const char* key : {"messages", "conversations"})
    if (object.contains(key) && object[key].is_array()) return messages_of(object[key], why);
  std::string prompt = columns.prompt, completion = columns.completion;
  for (const auto& [left, right] : kPairs)
    if (prompt.empty() && object.contains(left) && object.contains(right)) prompt = left, completion = right;
  if (prompt.empty() || !object.contains(prompt) || !object.contains(completion)) return why = "neither messages nor prompt and completion", std::vector<ChatMessage>();
  std::vector<ChatMessage> out;
  for (const std::string& key : {prompt, completion}) {
    if (object[key].is_array()) {
      auto part = messages_of(object[key], why);
      if (!why.empty()) return {};
      out.insert(out.end(), part.begin(), part.end());
    } else {
      std::string text = text_at(object, key);
      if (key == prompt && prompt == "instruction" && !text_at(object, "input").empty()) text += "\n\n" + text_at(object, "input");
      out.push_back({key == prompt ? "user" : "assistant", text});
    }
  }
  if (const std::string system = text_at(object, columns.system); !system.empty()) out.insert(out.begin(), {"system", system});
  return out;
}

void skip(ChatData& data, std::map<std::string, std::string>& places, const std::string& reason, const std::string& file, uint64_t line) {
  if (++data.skipped[reason] <= 5) places[reason] += fmt::format("{}{}:{}", places[reason].empty() ? "" : ", ", file, line);
}

void read_lines(const std::string& path, const Columns& columns, ChatData& data) {
  MappedFile mapped(path);
  const std::string_view text = mapped.text();
  std::map<std::string, std::string> places;
  uint64_t line = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string row(text.substr(at, end - at));
    at = end + 1;
    ++line;
    if (row.find_first_not_of(" \t\r") == std::string::npos) continue;
    to_utf8(row);
    // Nesting is bounded by the callback, so that a hostile line cannot exhaust the stack.
    const json object = json::parse(row, [](int depth, auto, auto&) { return depth < 64; }, false);
    if (!object.is_object()) {
      skip(data, places, "not a JSON object", path, line);
      continue;
    }
    std::string why;
    Conversation one{messages_in(object, columns, why), path, line, 0};
    if (!why.empty()) {
      skip(data, places, why, path, line);
      continue;
    }
    const std::string time = text_at(object, columns.time.empty() ? "time" : columns.time);
    if (!time.empty()) one.time = parse_time(time).value_or(0);
    data.conversations.push_back(std::move(one));
  }
  for (const auto& [reason, where] : places) data.notes.push_back(fmt::format("{} rows not used: {} ({}{})", data.skipped[reason], reason, where, data.skipped[reason] > 5 ? ", ..." : ""));
}

// CSV through the tables' own reader, which knows encodings, quotes and times; the names of its columns are tried in pairs.
void read_table(const std::string& path, const Columns& columns, ChatData& data) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (!columns.prompt.empty()) pairs.push_back({columns.prompt, columns.completion});
  else pairs.assign(std::begin(kPairs), std::end(kPairs));
  for (size_t i = 0; i < pairs.size(); ++i) {
    ColumnMap map = {{"text", pairs[i].first}, {"completion", pairs[i].second}};
    if (!columns.system.empty()) map["system"] = columns.system;
    if (!columns.time.empty()) map["time"] = columns.time;
    Dataset table;
    try {
      table = read_csv(path, map);
    } catch (const Error& error) {
      if (i + 1 < pairs.size() && error.kind == ErrorKind::input && error.problem.starts_with("there is no column")) continue;
      if (columns.prompt.empty() && error.problem.starts_with("there is no column"))
        bad_input("no columns hold what is asked and what should be said", path, "say which with --map 'prompt=COLUMN,completion=COLUMN'; " + error.todo);
      throw;
    }
    for (const auto& [reason, count] : table.skipped) data.skipped[reason] += count;
    for (std::string& line : explain(table)) data.notes.push_back(std::move(line));
    for (Record& record : table.records) {
      Conversation one{{{"user", record.text}, {"assistant", record.fields["completion"]}}, record.file, record.line, record.time};
      if (const std::string& system = record.fields["system"]; !system.empty()) one.messages.insert(one.messages.begin(), {"system", system});
      data.conversations.push_back(std::move(one));
    }
    return;
  }
}

std::string asked(const Conversation& one) {
  std::string key;
  for (size_t i = 0; i + 1 < one.messages.size(); ++i) key += one.messages[i].role + "\x1f" + one.messages[i].content + "\x1e";
  return key;
}

}  // namespace

ChatData read_chat(const std::string& spec, const std::string& map, const std::string& system) {
  std::string kind, path = spec;
  for (const char* known : {"jsonl:", "csv:"})
    if (spec.starts_with(known)) kind = known, path = spec.substr(kind.size());
  if (kind.empty()) kind = std::filesystem::path(path).extension() == ".csv" ? "csv:" : "jsonl:";
  const ColumnMap names = parse_map(map);
  const Columns columns{named(names, "prompt"), named(names, "completion"), named(names, "system"), named(names, "time")};
  for (const auto& [field, column] : names)
    if (field != "prompt" && field != "completion" && field != "system" && field != "time")
      throw Error(ErrorKind::usage, "\"" + field + "\" is no field of a conversation", "--map", "the fields are prompt, completion, system and time");
  if (columns.prompt.empty() != columns.completion.empty()) throw Error(ErrorKind::usage, "prompt and completion are mapped together", "--map", "write 'prompt=COLUMN,completion=COLUMN'");
  ChatData data;
  if (kind == "csv:") read_table(path, columns, data);
  else read_lines(path, columns, data);
  if (!system.empty())
    for (Conversation& one : data.conversations)
      if (one.messages.empty() || one.messages[0].role != "system") one.messages.insert(one.messages.begin(), {"system", system});
  return data;
}

void drop_repeated(ChatData& data) {
  std::unordered_map<std::string, std::string> first;
  size_t same = 0, contradicting = 0;
  std::erase_if(data.conversations, [&](const Conversation& one) {
    if (one.messages.empty()) return false;
    const auto [at, fresh] = first.emplace(asked(one), one.messages.back().content);
    if (fresh) return false;
    ++(at->second == one.messages.back().content ? same : contradicting);
    return true;
  });
  auto say = [&](size_t count, const char* reason) {
    if (!count) return;
    data.skipped[reason] += count;
    data.notes.push_back(fmt::format("{} rows not used: {}", count, reason));
  };
  say(same, "the same conversation again");
  say(contradicting, "the same question has another answer above");
}

std::string refusal_line(const std::string& reason, const std::vector<size_t>& which, const std::vector<Conversation>& conversations) {
  std::string places;
  for (size_t i = 0; i < std::min<size_t>(which.size(), 5); ++i) {
    const Conversation& one = conversations[which[i]];
    places += fmt::format("{}{}{}", i ? ", " : "", one.file, one.line ? fmt::format(":{}", one.line) : "");
  }
  return fmt::format("{} rows not used: {} ({}{})", which.size(), reason, places, which.size() > 5 ? ", ..." : "");
}

}  // namespace ingot
