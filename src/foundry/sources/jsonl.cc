#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "foundry/sources/table.h"

namespace ingot {

Dataset read_jsonl(const std::filesystem::path& path, const ColumnMap& map, const Holding& hold) {
  MappedFile mapped(path);
  const std::string_view text = mapped.text();
  const std::string file = path.string();
  if (text.empty()) bad_input("the file is empty", file, "give a file with one JSON object a line");
  Dataset data;
  data.hold = hold;
  data.described = fmt::format("JSON lines {}", path.filename().string());
  std::optional<RowMapper> mapper;
  std::vector<std::string> columns;
  uint64_t line = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string_view::npos) end = text.size();
    std::string row(text.substr(at, end - at));
    at = end + 1;
    ++line;
    if (row.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (std::string assumed = to_utf8(row); !assumed.empty()) data.fields_noted["not UTF-8, read as " + assumed]++;
    // Nesting is bounded by the callback, so that a hostile line cannot exhaust the stack.
    const auto object = nlohmann::json::parse(row, [](int depth, auto, auto&) { return depth < 64; }, false);
    if (!object.is_object()) {
      data.skip("not a JSON object", file, line);
      continue;
    }
    if (!mapper) {
      for (const auto& [key, value] : object.items()) columns.push_back(key);
      for (const auto& [field, column] : map) {
        // A field may be absent from the first object only.
        if (column.find('+') == std::string::npos && !object.contains(column)) columns.push_back(column);
      }
      mapper.emplace(map, columns, file);
    }
    mapper->add(
        data,
        [&](size_t column) -> std::string {
          auto found = object.find(columns[column]);
          if (found == object.end() || found->is_null()) return "";
          return found->is_string() ? found->get<std::string>() : found->dump();
        },
        line);
    mapped.release_before(at);
  }
  finish(data);
  return data;
}

}  // namespace ingot
