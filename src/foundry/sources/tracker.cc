#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "foundry/sources/table.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr size_t kLargestIssue = size_t{32} << 20;  // bytes of one issue's JSON

// Calls fn(object text, line) for each issue: elements of a top array, of a top object's array `key`, or objects one after
// another. Only one issue is ever parsed at a time.
void each_issue(std::string_view text, std::string_view key, const std::string& file,
                const std::function<void(std::string_view, uint64_t)>& fn) {
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) bad_input("the file is empty", file, "export the issues again");
  int wanted = 0;  // depth at which an object is an issue
  if (text[first] == '[') {
    wanted = 1;
  } else if (text[first] == '{') {
    const std::string quoted = "\"" + std::string(key) + "\"";
    const size_t at = text.substr(0, size_t{1} << 20).find(quoted);
    const size_t bracket = at == std::string_view::npos ? at : text.find_first_not_of(" \t\r\n:", at + quoted.size());
    wanted = bracket != std::string_view::npos && text[bracket] == '[' ? 2 : 0;
  } else {
    bad_input("this is not JSON", file, "give the tracker's JSON export (or CSV with a name ending in .csv)");
  }
  int depth = 0;
  bool string = false;
  size_t begin = 0;
  uint64_t line = 1, began = 1;
  for (size_t i = first; i < text.size(); ++i) {
    const char c = text[i];
    line += c == '\n';
    if (string) {
      if (c == '\\') ++i;
      else if (c == '"') string = false;
    } else if (c == '"') {
      string = true;
    } else if (c == '{' || c == '[') {
      if (c == '{' && depth == wanted) begin = i, began = line;
      ++depth;
    } else if (c == '}' || c == ']') {
      if (--depth < 0) bad_input("a bracket closes nothing", fmt::format("{}:{}", file, line), "the file is damaged; export it again");
      if (c == '}' && depth == wanted) {
        if (i - begin > kLargestIssue) bad_input("an issue is longer than 32 MiB", fmt::format("{}:{}", file, began), "the file is damaged; export it again");
        fn(text.substr(begin, i + 1 - begin), began);
      }
    }
  }
  if (depth != 0 || string) bad_input("the file ends in the middle of an issue", fmt::format("{}:{}", file, began), "it was cut off; export it again");
}

const json* inside(const json& object, std::initializer_list<const char*> path) {
  const json* at = &object;
  for (const char* key : path) {
    if (at->is_array()) {
      if (at->empty()) return nullptr;
      at = &at->front();
    }
    if (!at->is_object()) return nullptr;
    auto found = at->find(key);
    if (found == at->end()) return nullptr;
    at = &*found;
  }
  while (at->is_array() && !at->empty()) at = &at->front();
  return at->is_null() || at->is_array() ? nullptr : at;
}

// Jira's document format: the text of its leaves.
void leaves(const json& node, std::string& out) {
  if (auto text = node.is_object() ? node.find("text") : node.end(); node.is_object() && text != node.end() && text->is_string()) {
    out += text->get<std::string>();
  }
  if (auto content = node.is_object() ? node.find("content") : node.end(); node.is_object() && content != node.end() && content->is_array()) {
    for (const json& child : *content) leaves(child, out);
    out += "\n";
  }
}

std::string first_of(const json& object, std::initializer_list<std::initializer_list<const char*>> paths) {
  for (const auto& path : paths) {
    if (const json* value = inside(object, path)) {
      if (value->is_string()) return value->get<std::string>();
      if (value->is_number()) return value->dump();
      if (value->is_object()) {
        std::string out;
        leaves(*value, out);
        if (!out.empty()) return out;
      }
    }
  }
  return "";
}

// A GitHub label that says where the issue belongs ("area/net", "component: ui"); otherwise the first label.
std::string component_label(const json& issue) {
  std::string first;
  auto labels = issue.find("labels");
  if (labels == issue.end() || !labels->is_array()) return "";
  for (const json& label : *labels) {
    const std::string name = label.is_string() ? label.get<std::string>() : first_of(label, {{"name"}});
    for (const char* prefix : {"area", "component", "comp", "module", "team", "pkg", "A-"}) {
      const std::string_view p(prefix);
      if (name.starts_with(p) && name.size() > p.size() && (p == "A-" || name[p.size()] == '/' || name[p.size()] == ':' || name[p.size()] == '-')) return name;
    }
    if (first.empty()) first = name;
  }
  return first;
}

bool nobody(const std::string& name) {
  return name.starts_with("nobody") || name == "Unassigned" || name == "unassigned" || name.find("-inbox") != std::string::npos ||
         name.find("-triaged") != std::string::npos;
}

// A tracker's CSV: columns are found by their usual names; who is nobody is taken out.
Dataset tracker_csv(const std::filesystem::path& path, const ColumnMap& map, Holding hold) {
  hold.refuse = [](const Record& record) -> std::string { return nobody(record.engineer) ? "nobody is assigned" : ""; };
  return read_csv(path, map, hold);
}

}  // namespace

Dataset read_tracker(const std::string& kind, const std::filesystem::path& path, const ColumnMap& map, const Holding& hold) {
  MappedFile mapped(path);
  std::string_view text = mapped.text();
  const std::string file = path.string();
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (kind != "github" && first != std::string_view::npos && text[first] != '{' && text[first] != '[') return tracker_csv(path, map, hold);
  Dataset data;
  data.hold = hold;
  data.described = fmt::format("{} issues of {}", kind == "github" ? "GitHub" : kind == "jira" ? "Jira" : "Bugzilla", path.filename().string());
  const std::vector<std::string> columns = {"id", "engineer", "component", "title", "text", "time", "product", "priority", "severity", "type"};
  ColumnMap own;
  for (const std::string& column : columns) own[column] = column;
  RowMapper mapper(own, columns, file);
  each_issue(text, kind == "jira" ? "issues" : "bugs", file, [&](std::string_view slice, uint64_t line) {
    mapped.release_before(static_cast<size_t>(slice.data() - mapped.text().data()));
    std::string bytes(slice);
    if (std::string assumed = to_utf8(bytes); !assumed.empty()) data.fields_noted["not UTF-8, read as " + assumed]++;
    // Nesting is bounded, so that a hostile file cannot exhaust the stack.
    const json issue = json::parse(bytes, [](int depth, auto, auto&) { return depth < 64; }, false);
    if (!issue.is_object()) return data.skip("not JSON", file, line);
    std::vector<std::string> row;
    if (kind == "bugzilla") {
      row = {first_of(issue, {{"id"}, {"bug_id"}}), first_of(issue, {{"assigned_to"}, {"assigned_to_detail", "email"}}), first_of(issue, {{"component"}}),
             first_of(issue, {{"summary"}, {"short_desc"}}), first_of(issue, {{"description"}, {"comments", "text"}}),
             first_of(issue, {{"creation_time"}, {"creation_ts"}}), first_of(issue, {{"product"}}), first_of(issue, {{"priority"}}),
             first_of(issue, {{"severity"}}), first_of(issue, {{"type"}})};
    } else if (kind == "github") {
      if (issue.contains("pull_request")) return data.skip("a pull request, not an issue", file, line);
      row = {first_of(issue, {{"number"}, {"id"}}), first_of(issue, {{"assignee", "login"}, {"assignees", "login"}}), component_label(issue),
             first_of(issue, {{"title"}}), first_of(issue, {{"body"}}), first_of(issue, {{"created_at"}, {"createdAt"}}), "", "", "", ""};
    } else {
      row = {first_of(issue, {{"key"}, {"id"}}), first_of(issue, {{"fields", "assignee", "displayName"}, {"fields", "assignee", "name"}}),
             first_of(issue, {{"fields", "components", "name"}}), first_of(issue, {{"fields", "summary"}}), first_of(issue, {{"fields", "description"}}),
             first_of(issue, {{"fields", "created"}}), first_of(issue, {{"fields", "project", "key"}}), first_of(issue, {{"fields", "priority", "name"}}), "",
             first_of(issue, {{"fields", "issuetype", "name"}})};
    }
    if (row[1].empty() || nobody(row[1])) return data.skip("nobody is assigned", file, line);
    mapper.add(data, [&](size_t column) { return row[column]; }, line);
  });
  finish(data);
  return data;
}

}  // namespace ingot
