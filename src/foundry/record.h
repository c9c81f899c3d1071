// What every source yields and every recipe learns from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

namespace ingot {

// One bug, fix or labelled text, as it looked when it was filed.
struct Record {
  std::string id;         // the source's own identifier; empty if it has none
  std::string text;       // what a person would type; UTF-8
  std::string engineer;   // who took it; empty if unknown
  std::string component;  // where it belongs; empty if unknown
  std::string team;       // who maintains the component; empty if unknown
  std::string label;      // for kind "classify"
  int64_t time = 0;       // seconds since 1970, UTC; 0 if the source has none
  std::string file;       // where it was read
  uint64_t line = 0;      // 1-based; 0 if the source has no lines
  std::map<std::string, std::string> fields;  // other mapped columns (product, severity, ...)
};

std::vector<std::string> texts_of(std::span<const Record> records);
std::vector<std::string> labels_of(std::span<const Record> records);

// A row that was not used, or used with a remark. Counted by reason; the first few keep their place.
struct SkippedRow {
  std::string reason;  // "missing engineer", "unreadable date", "duplicate of 123", ...
  std::string file;
  uint64_t line = 0;
};

// What is held in memory of a source of any size.
struct Holding {
  size_t newest = 0;                              // at most this many records; 0: all
  std::function<void(const Record&)> visit;       // if set, records are shown to it and none is held
  std::function<std::string(const Record&)> refuse;  // a reason not to use a record, or nothing
};

struct Dataset {
  std::vector<Record> records;
  std::vector<SkippedRow> examples;          // at most 5 a reason
  std::map<std::string, uint64_t> skipped;   // reason -> rows
  uint64_t rows_read = 0;                    // records + older + skipped
  std::vector<std::string> notes;            // facts worth telling: encodings replaced, time zones assumed, ...
  std::map<std::string, uint64_t> fields_noted;  // remark -> rows it is about; becomes notes
  Holding hold;
  uint64_t older = 0;                        // records let go of because of hold.newest
  std::string described;                     // one line: what this source is

  void skip(std::string reason, std::string file, uint64_t line) {
    ++rows_read;
    uint64_t& count = skipped[reason];
    if (++count <= 5) examples.push_back({std::move(reason), std::move(file), line});
  }
  // Keeps the record, or counts it as skipped when its id was there before.
  void add(Record record);

  // Sorts by time, oldest first (stable), and lets go of the oldest where there are more than hold.newest.
  void keep_newest();

 private:
  std::unordered_set<uint64_t> ids_;  // hashes of the ids so far
};

}  // namespace ingot
