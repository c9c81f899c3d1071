#include "foundry/sources/source.h"

#include <fmt/format.h>

#include "core/error.h"
#include "foundry/sources/table.h"

namespace ingot {

Dataset read_source(const std::string& spec, const ColumnMap& map, const Holding& hold) {
  check_fields(map);
  const size_t colon = spec.find(':');
  const std::string kind = spec.substr(0, colon);
  if (colon != std::string::npos) {
    const std::filesystem::path path = spec.substr(colon + 1);
    if (kind == "csv") return read_csv(path, map, hold);
    if (kind == "jsonl") return read_jsonl(path, map, hold);
    if (kind == "changelogs") return read_changelogs(path, hold);
    if (kind == "git") return read_git(path, hold);
    if (kind == "bugzilla" || kind == "github" || kind == "jira") return read_tracker(kind, path, map, hold);
    if (kind == "debs") return read_debs(path, hold);
  }
  throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a source", spec), "--source",
              "write KIND:PATH, for example csv:bugs.csv, jsonl:bugs.jsonl, bugzilla:FILE, github:FILE, jira:FILE, changelogs:/usr/share/doc, debs:LIST or git:FOLDER");
}

}  // namespace ingot
