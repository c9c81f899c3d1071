// What CSV and JSON rows have in common: from named columns to a record.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "foundry/sources/source.h"

namespace ingot {

// Throws Error (usage) for a field that a record does not have, with the nearest one that it has.
void check_fields(const ColumnMap& map);

// Finds each field's columns once, then makes a record of every row.
class RowMapper {
 public:
  // Throws Error (input) if a mapped column is not among `columns`, naming those there are and the nearest.
  RowMapper(const ColumnMap& map, std::vector<std::string> columns, std::string file);

  // Adds a record, or counts why not. value(i) is column i as UTF-8, empty if absent.
  void add(Dataset& data, const std::function<std::string(size_t)>& value, uint64_t line);

 private:
  std::vector<std::string> columns_;
  std::string file_;
  std::map<std::string, std::vector<size_t>> where_;  // field -> its columns
};

// Counts classes and duplicates after a source was read; adds notes. Sorts by time, oldest first (stable).
void finish(Dataset& data);

}  // namespace ingot
