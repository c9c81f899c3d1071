#include "foundry/sources/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "core/nearest.h"

namespace ingot {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string trimmed(std::string text) {
  const auto space = [](unsigned char c) { return std::isspace(c); };
  while (!text.empty() && space(text.back())) text.pop_back();
  size_t begin = 0;
  while (begin < text.size() && space(text[begin])) ++begin;
  return text.substr(begin);
}

// Column names that exports use, tried in order when a field is not mapped.
const std::map<std::string, std::vector<std::string>>& usual_names() {
  static const std::map<std::string, std::vector<std::string>> names = {
      {"id", {"id", "bug id", "bug_id", "issue key", "key", "number", "issue_id"}},
      {"engineer", {"engineer", "assignee", "assigned_to", "assigned to", "owner", "developer", "fixer"}},
      {"component", {"component", "components", "component/s", "package"}},
      {"title", {"title", "summary", "short_desc", "subject"}},
      {"text", {"text", "description", "body", "comment", "message"}},
      {"label", {"label", "intent", "class", "category"}},
      {"team", {"team"}},
      {"time", {"time", "created", "creation_time", "created_at", "opened", "creation_ts", "reported", "date", "created_time"}}};
  return names;
}

}  // namespace

ColumnMap parse_map(std::string_view map) {
  ColumnMap result;
  size_t at = 0;
  while (at < map.size()) {
    size_t end = map.find(',', at);
    if (end == std::string_view::npos) end = map.size();
    const std::string part(map.substr(at, end - at));
    const size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == part.size()) {
      throw Error(ErrorKind::usage, fmt::format("\"{}\" is not FIELD=COLUMN", part), "--map", "write for example --map 'id=Bug ID,engineer=Assignee,text=text'");
    }
    result[trimmed(part.substr(0, equals))] = trimmed(part.substr(equals + 1));
    at = end + 1;
  }
  return result;
}

void check_fields(const ColumnMap& map) {
  std::vector<std::string> fields;
  for (const auto& [known, names] : usual_names()) fields.push_back(known);
  for (const auto& [field, column] : map) {
    if (usual_names().contains(field)) continue;
    const std::string near = nearest_name(field, fields);
    throw Error(ErrorKind::usage, fmt::format("there is no field \"{}\"", field), "--map",
                fmt::format("the fields are: {}{}", fmt::join(fields, ", "), near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
  }
}

RowMapper::RowMapper(const ColumnMap& map, std::vector<std::string> columns, std::string file)
    : columns_(std::move(columns)), file_(std::move(file)) {
  const auto find = [&](const std::string& name) -> std::optional<size_t> {
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i] == name) return i;
    }
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (lower(columns_[i]) == lower(name)) return i;
    }
    return std::nullopt;
  };
  for (const auto& [field, wanted] : map) {
    size_t at = 0;
    // A column whose own name holds a plus is taken as it stands.
    if (auto whole = find(wanted)) {
      where_[field].push_back(*whole);
      continue;
    }
    while (at <= wanted.size()) {
      size_t end = wanted.find('+', at);
      if (end == std::string::npos) end = wanted.size();
      const std::string name = trimmed(wanted.substr(at, end - at));
      auto column = find(name);
      if (!column) {
        const std::string near = nearest_name(name, columns_);
        bad_input(fmt::format("there is no column \"{}\" for {}", name, field), file_ + ":1",
                  fmt::format("the columns are: {}{}", fmt::join(columns_, ", "), near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
      }
      where_[field].push_back(*column);
      at = end + 1;
    }
  }
  for (const auto& [field, names] : usual_names()) {
    if (where_.contains(field) || (field == "title" && map.contains("text"))) continue;
    for (const std::string& name : names) {
      if (auto column = find(name)) {
        where_[field].push_back(*column);
        break;
      }
    }
  }
  if (!where_.contains("text") && !where_.contains("title")) {
    bad_input("no column holds the text", file_ + ":1",
              fmt::format("say which with --map 'text=COLUMN'; the columns are: {}", fmt::join(columns_, ", ")));
  }
}

void RowMapper::add(Dataset& data, const std::function<std::string(size_t)>& value, uint64_t line) {
  const auto field = [&](const char* name, const char* between) {
    std::string joined;
    if (auto found = where_.find(name); found != where_.end()) {
      for (size_t column : found->second) {
        std::string part = trimmed(value(column));
        if (!joined.empty() && !part.empty()) joined += between;
        joined += part;
      }
    }
    return joined;
  };
  Record record;
  record.file = file_;
  record.line = line;
  record.id = field("id", "-");
  record.text = field("title", " ");
  const std::string body = field("text", "\n");
  if (!record.text.empty() && !body.empty()) record.text += "\n";
  record.text += body;
  record.engineer = field("engineer", " ");
  record.component = field("component", "/");
  record.team = field("team", " ");
  record.label = field("label", "/");
  for (const auto& [name, columns] : where_) {
    if (!usual_names().contains(name)) record.fields[name] = trimmed(value(columns[0]));
  }
  if (record.text.empty()) return data.skip("empty text", file_, line);
  if (where_.contains("engineer") && record.engineer.empty() && record.label.empty()) return data.skip("missing engineer", file_, line);
  if (where_.contains("time")) {
    const std::string written = field("time", " ");
    bool assumed = false;
    const auto time = parse_time(written, &assumed);
    if (!time) return data.skip(written.empty() ? "missing date" : "unreadable date", file_, line);
    record.time = *time;
    if (assumed) data.fields_noted["times without a zone were taken as UTC"]++;
  }
  data.add(std::move(record));
}

void finish(Dataset& data) {
  for (const auto& [note, count] : data.fields_noted) data.notes.push_back(fmt::format("{} ({} rows)", note, count));
  data.fields_noted.clear();
  data.keep_newest();
}

void Dataset::add(Record record) {
  if (!record.id.empty() && !ids_.insert(std::hash<std::string>()(record.id)).second) return skip("the same id twice", record.file, record.line);
  if (hold.refuse) {
    if (std::string reason = hold.refuse(record); !reason.empty()) return skip(std::move(reason), record.file, record.line);
  }
  ++rows_read;
  if (hold.visit) return hold.visit(record);
  records.push_back(std::move(record));
  if (hold.newest && records.size() >= 2 * hold.newest) keep_newest();
}

void Dataset::keep_newest() {
  std::stable_sort(records.begin(), records.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
  if (!hold.newest || records.size() <= hold.newest) return;
  const size_t most = records.size() - hold.newest;
  older += most;
  records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(most));
}

}  // namespace ingot
