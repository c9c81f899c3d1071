// From what people have (exports, histories, changelogs) to records. Rows that are not used are counted and explained.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "foundry/record.h"

namespace ingot {

// Our field (id, text, title, engineer, component, label, team, time) -> the source's column. Other names become `fields`.
using ColumnMap = std::map<std::string, std::string>;

// "id=Bug ID,engineer=Assignee,text=text"; several columns of a text are joined: "text=Summary+Description".
ColumnMap parse_map(std::string_view map);

// spec is KIND:PATH with KIND csv, jsonl, bugzilla, github, jira, changelogs, debs or git. Throws Error (input) for what cannot be read at all.
// With `hold` a table or a tracker's export of any size is read in bounded memory.
Dataset read_source(const std::string& spec, const ColumnMap& map, const Holding& hold = {});

Dataset read_csv(const std::filesystem::path& path, const ColumnMap& map, const Holding& hold = {});
Dataset read_jsonl(const std::filesystem::path& path, const ColumnMap& map, const Holding& hold = {});
Dataset read_changelogs(const std::filesystem::path& folder, const Holding& hold = {});  // as under /usr/share/doc
Dataset read_git(const std::filesystem::path& repository, const Holding& hold = {});     // runs the git command

// What issue trackers export: kind is "bugzilla" (REST JSON, CSV), "github" (JSON array or lines) or "jira" (JSON, CSV).
// Pull requests and records that nobody took are counted as not used.
Dataset read_tracker(const std::string& kind, const std::filesystem::path& path, const ColumnMap& map, const Holding& hold = {});

// A list of Debian packages, one "package=version" a line, fetched with apt-get once and kept in the user's cache.
Dataset read_debs(const std::filesystem::path& list, const Holding& hold = {});

// Seconds since 1970 UTC. Epoch seconds or milliseconds, ISO 8601 with or without zone, zone names ("EST"), RFC 2822,
// "12/Mar/19 3:45 PM". A time without a zone is taken as UTC and `assumed_utc` is set. Empty if it cannot be read.
std::optional<int64_t> parse_time(std::string_view text, bool* assumed_utc = nullptr);

// Bytes as UTF-8: a byte-order mark is removed, UTF-16 is converted, what is not UTF-8 is read as Windows-1252.
// Returns the name of the encoding that was assumed, empty for UTF-8.
std::string to_utf8(std::string& bytes);
bool is_utf8(std::string_view bytes);

}  // namespace ingot
