#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "foundry/sources/table.h"

namespace ingot {
namespace {

constexpr size_t kLargestField = size_t{16} << 20;  // bytes; a longer one is a lost quote, not a bug report

// RFC 4180 with either line end, over bytes that stay mapped: memory is one row.
class CsvRows {
 public:
  CsvRows(std::string_view text, std::string file, char separator) : text_(text), file_(std::move(file)), separator_(separator) {}

  size_t offset() const { return at_; }  // of the next row

  // False at the end. Fields are raw bytes.
  bool next(std::vector<std::string>& fields, uint64_t& line) {
    fields.clear();
    if (at_ >= text_.size()) return false;
    line = line_;
    std::string field;
    bool quoted = false, was_quoted = false;
    uint64_t opened = 0;
    for (; at_ <= text_.size(); ++at_) {
      const bool end = at_ == text_.size();
      const char c = end ? '\n' : text_[at_];
      if (end && quoted) bad_input("a quoted field does not end", fmt::format("{}:{}", file_, opened), "close the quote, or double a quote inside a quoted field");
      if (c == '\n' && !end) ++line_;
      if (quoted) {
        if (c != '"') {
          field += c;
        } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
          field += '"';
          ++at_;
        } else {
          quoted = false;
        }
        if (field.size() > kLargestField) {
          bad_input("a field is longer than 16 MiB", fmt::format("{}:{}", file_, opened), "look for a quote that is never closed");
        }
      } else if (c == '"' && field.empty() && !was_quoted) {
        quoted = was_quoted = true;
        opened = line_;
      } else if (c == separator_) {
        fields.push_back(std::move(field));
        field.clear();
        was_quoted = false;
      } else if (c == '\n') {
        if (!field.empty() && field.back() == '\r') field.pop_back();
        fields.push_back(std::move(field));
        ++at_;
        return true;
      } else {
        field += c;
      }
    }
    return true;
  }

 private:
  std::string_view text_;
  std::string file_;
  char separator_;
  size_t at_ = 0;
  uint64_t line_ = 1;
};

// Spreadsheets of half the world write semicolons: whichever of comma, semicolon and tab stands most often in the line of names.
char separator_of(std::string_view text) {
  std::map<char, size_t> count = {{',', 0}, {';', 0}, {'\t', 0}};
  bool quoted = false;
  for (const char c : text.substr(0, size_t{1} << 16)) {
    if (c == '"') quoted = !quoted;
    else if (c == '\n' && !quoted) break;
    else if (auto found = count.find(c); found != count.end() && !quoted) ++found->second;
  }
  char best = ',';
  for (const auto& [c, n] : count) {
    if (n > count[best]) best = c;
  }
  return best;
}

}  // namespace

Dataset read_csv(const std::filesystem::path& path, const ColumnMap& map, const Holding& hold) {
  MappedFile mapped(path);
  std::string_view text = mapped.text();
  const std::string file = path.string();
  if (text.empty()) bad_input("the file is empty", file, "give a CSV file with a line of column names");
  Dataset data;
  data.hold = hold;
  data.described = fmt::format("CSV {}", path.filename().string());
  std::string converted;
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  if ((byte(0) == 0xFF && byte(1) == 0xFE) || (byte(0) == 0xFE && byte(1) == 0xFF)) {
    converted = std::string(text);
    data.notes.push_back(fmt::format("{} was read as {}", file, to_utf8(converted)));
    text = converted;
  } else if (byte(0) == 0xEF && byte(1) == 0xBB && byte(2) == 0xBF) {
    text.remove_prefix(3);
  }
  if (text.substr(0, size_t{1} << 16).find('\0') != std::string_view::npos) {
    bad_input("this is a binary file, not CSV", file, "export the records as CSV or JSON lines");
  }
  const char separator = separator_of(text);
  if (separator != ',') data.notes.push_back(fmt::format("{} has {} between its columns", file, separator == ';' ? "semicolons" : "tabs"));
  const size_t prefix = converted.empty() ? static_cast<size_t>(text.data() - mapped.text().data()) : 0;
  CsvRows rows(text, file, separator);
  std::vector<std::string> fields;
  uint64_t line = 0;
  rows.next(fields, line);
  for (std::string& name : fields) to_utf8(name);
  const size_t columns = fields.size();
  RowMapper mapper(map, fields, file);
  while (rows.next(fields, line)) {
    if (fields.size() == 1 && fields[0].empty()) continue;  // an empty line is no row
    if (fields.size() != columns) {
      data.skip(fmt::format("{} columns instead of {}", fields.size(), columns), file, line);
      continue;
    }
    mapper.add(
        data,
        [&](size_t column) {
          std::string value = fields[column];
          if (std::string assumed = to_utf8(value); !assumed.empty()) data.fields_noted["not UTF-8, read as " + assumed]++;
          return value;
        },
        line);
    if (converted.empty()) mapped.release_before(prefix + rows.offset());
  }
  finish(data);
  return data;
}

}  // namespace ingot
