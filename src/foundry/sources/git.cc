#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "foundry/sources/command.h"
#include "foundry/sources/table.h"

namespace ingot {
namespace {

// The message without trailers ("Signed-off-by: …"), which name people.
std::string without_trailers(const std::string& message) {
  std::istringstream in{message};
  std::string line, out;
  while (std::getline(in, line)) {
    const size_t colon = line.find(": ");
    const bool trailer = colon != std::string::npos && colon > 3 && line.find(' ') == colon + 1 && line.substr(0, colon).find('-') != std::string::npos;
    if (!trailer) out += line + "\n";
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

}  // namespace

Dataset read_git(const std::filesystem::path& repository, const Holding& hold) {
  Dataset data;
  data.hold = hold;
  data.described = fmt::format("git history of {}", repository.filename().string());
  const std::string where = repository.string();
  std::string pending;
  const auto commit = [&](const std::string& text) {
    // \x1e hash \x1f author \x1f time \x1f message \x1f files
    std::vector<std::string> parts;
    size_t at = 0;
    for (size_t end; (end = text.find('\x1f', at)) != std::string::npos; at = end + 1) parts.push_back(text.substr(at, end - at));
    parts.push_back(text.substr(at));
    if (parts.size() != 5) return;
    Record record;
    record.id = parts[0].substr(0, 12);
    record.engineer = parts[1];
    record.time = parse_time(parts[2]).value_or(0);
    record.text = without_trailers(parts[3]);
    record.file = where;
    to_utf8(record.text);
    to_utf8(record.engineer);
    std::map<std::string, int> folders;
    std::istringstream files{parts[4]};
    for (std::string file; std::getline(files, file);) {
      if (!file.empty()) ++folders[file.substr(0, file.find('/') == std::string::npos ? 0 : file.find('/'))];
    }
    int most = 0;
    for (const auto& [folder, count] : folders) {
      if (count > most) {
        most = count;
        record.component = folder.empty() ? "(root)" : folder;
      }
    }
    if (record.text.empty()) data.skip("empty message", where + "@" + record.id, 0);
    else if (record.component.empty()) data.skip("a commit that changes no file", where + "@" + record.id, 0);
    else data.add(std::move(record));
  };
  const int status = run_command({"git", "-c", "safe.directory=*", "-C", where, "log", "--no-merges", "--use-mailmap", "--name-only",
                          "--format=%x1e%H%x1f%aN%x1f%at%x1f%B%x1f"},
                         [&](std::string_view piece) {
                           pending += piece;
                           size_t begin = pending.find('\x1e');
                           for (size_t end; begin != std::string::npos && (end = pending.find('\x1e', begin + 1)) != std::string::npos; begin = end) {
                             commit(pending.substr(begin + 1, end - begin - 1));
                           }
                           if (begin != std::string::npos) pending.erase(0, begin);
                         });
  if (status != 0) bad_input("git cannot read a history here", where, "give the folder of a git repository with at least one commit");
  if (!pending.empty() && pending[0] == '\x1e') commit(pending.substr(1));
  finish(data);
  return data;
}

}  // namespace ingot
