#include <fmt/format.h>
#include <re2/re2.h>
#include <zlib.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "foundry/sources/table.h"

namespace ingot {
namespace {

constexpr size_t kLargestChangelog = size_t{64} << 20;  // bytes unpacked

std::string gunzip(const std::filesystem::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (!file) return "";
  std::string out;
  char buffer[1 << 16];
  int got;
  while ((got = gzread(file, buffer, sizeof buffer)) > 0 && out.size() < kLargestChangelog) out.append(buffer, got);
  gzclose(file);
  return got < 0 ? "" : out;
}

// Source package -> maintainer, from dpkg's own status file.
std::map<std::string, std::string> maintainers() {
  std::map<std::string, std::string> result;
  if (!std::filesystem::exists("/var/lib/dpkg/status")) return result;
  std::istringstream in{read_file("/var/lib/dpkg/status")};
  std::string line, package, source, maintainer;
  const auto flush = [&] {
    if (!maintainer.empty()) result.emplace(source.empty() ? package : source, maintainer);
    package = source = maintainer = "";
  };
  while (std::getline(in, line)) {
    if (line.empty()) flush();
    if (line.starts_with("Package: ")) package = line.substr(9);
    if (line.starts_with("Source: ")) source = line.substr(8, line.find(' ', 8) - 8);
    if (line.starts_with("Maintainer: ")) maintainer = line.substr(12, line.find(" <") - 12);
  }
  flush();
  return result;
}

// What a reporter would not have typed: closers, thanks, references, the package's own name.
std::string as_reported(std::string text, const std::string& package) {
  static const RE2 closes(R"((?i)\(?\s*(closes|fixes|lp|see|cf\.?|resolves)?:?\s*(bug)?\s*#\s*\d+(,?\s*(and)?\s*(bug)?\s*#?\s*\d+)*\s*\)?\.?)");
  static const RE2 thanks(R"((?i)[\s(.;,]*(with )?\b(thanks|thank you)\b[^.]*(to|go|for)?[^)]*\)?\.?)");
  static const RE2 by_whom(R"((?i)\b(patch|reported|suggested|contributed|based on work|translation)\s+(from|by)\s+[^.;)]*)");
  static const RE2 address(R"([<(]?[\w.+-]+@[\w-]+(\.[\w-]+)+[>)]?)");
  static const RE2 spaces(R"(\s+)");
  RE2::GlobalReplace(&text, closes, " ");
  RE2::GlobalReplace(&text, thanks, " ");
  RE2::GlobalReplace(&text, by_whom, " ");
  RE2::GlobalReplace(&text, address, " ");
  if (package.size() > 1) RE2::GlobalReplace(&text, RE2("(?i)\\b" + RE2::QuoteMeta(package) + "\\b"), " ");
  RE2::GlobalReplace(&text, spaces, " ");
  while (!text.empty() && text.front() == ' ') text.erase(0, 1);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

size_t words_in(std::string_view text) {
  size_t words = 0;
  bool inside = false;
  for (char c : text) {
    const bool letter = std::isalpha(static_cast<unsigned char>(c)) || (c & 0x80);
    words += letter && !inside;
    inside = letter;
  }
  return words;
}

struct Bullet {
  std::string text, person;
  uint64_t line;
};

void read_changelog(const std::string& text, const std::string& file, const std::map<std::string, std::string>& teams,
                    std::set<std::string>& versions, Dataset& data) {
  static const RE2 header(R"(^([a-z0-9][a-z0-9+.-]*) \(([^()\s]+)\)[^;]*;.*)");
  static const RE2 section(R"(^\s+\[\s*(.+?)\s*\]\s*$)");
  static const RE2 bullet(R"(^\s{1,3}[*+-]\s+(.*))");
  static const RE2 trailer(R"(^ -- (.*?)\s*<([^>]*)>\s+(.*?)\s*$)");
  std::istringstream in{text};
  std::string line, package, version, person;
  std::vector<Bullet> bullets;
  uint64_t number = 0;
  bool repeated = false;
  while (std::getline(in, line)) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    std::string first, second, third;
    if (RE2::FullMatch(line, header, &first, &second)) {
      package = first;
      version = second;
      bullets.clear();
      person.clear();
      repeated = !versions.insert(package + " " + version).second;
    } else if (line.find("changelog has been truncated") != std::string::npos || line.starts_with("# For older changelog")) {
      data.fields_noted["changelogs that were trimmed by their package"]++;
    } else if (package.empty()) {
      continue;
    } else if (RE2::FullMatch(line, trailer, &first, &second, &third)) {
      const auto time = parse_time(third);
      if (repeated) bullets.clear();  // another binary of the same source said it already
      int index = 0;
      for (Bullet& one : bullets) {
        const std::string clean = as_reported(one.text, package);
        ++index;
        if (!time) {
          data.skip("unreadable date", file, number);
        } else if (words_in(clean) < 4) {
          data.skip("fewer than four words (\"New upstream release\")", file, one.line);
        } else {
          Record record;
          record.id = fmt::format("{}_{}#{}", package, version, index);
          record.text = clean;
          record.engineer = one.person.empty() ? first : one.person;
          record.component = package;
          if (auto team = teams.find(package); team != teams.end()) record.team = team->second;
          record.time = *time;
          record.file = file;
          record.line = one.line;
          if (record.engineer.empty()) data.skip("missing engineer", file, one.line);
          else data.add(std::move(record));
        }
      }
      bullets.clear();
    } else if (RE2::FullMatch(line, section, &first)) {
      person = first;
    } else if (RE2::FullMatch(line, bullet, &first)) {
      bullets.push_back({first, person, number});
    } else if (!bullets.empty() && line.find_first_not_of(" \t") != std::string::npos) {
      bullets.back().text += " " + line.substr(line.find_first_not_of(" \t"));
    }
  }
}

}  // namespace

Dataset read_changelogs(const std::filesystem::path& folder, const Holding& hold) {
  if (!std::filesystem::is_directory(folder)) {
    bad_input("there is no such folder", folder.string(), "give the folder that holds the packages' documentation, as /usr/share/doc");
  }
  Dataset data;
  data.hold = hold;
  data.described = fmt::format("Debian changelogs under {}", folder.string());
  std::vector<std::filesystem::path> files;
  std::error_code failed;
  for (auto it = std::filesystem::recursive_directory_iterator(folder, std::filesystem::directory_options::skip_permission_denied, failed);
       it != std::filesystem::recursive_directory_iterator(); it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (name == "changelog.Debian.gz" || name == "changelog.Debian" || name == "changelog.gz") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  const auto teams = maintainers();
  std::set<std::string> versions;
  for (const auto& file : files) {
    std::string text = file.extension() == ".gz" ? gunzip(file) : read_file(file, kLargestChangelog);
    if (text.empty()) {
      data.skip("unreadable file", file.string(), 0);
      continue;
    }
    if (std::string assumed = to_utf8(text); !assumed.empty()) data.fields_noted["files not in UTF-8, read as " + assumed]++;
    read_changelog(text, file.string(), teams, versions, data);
  }
  if (data.rows_read == 0) {
    data.notes.push_back(fmt::format("{} changelogs were found; slim images carry none", files.size()));
  }
  finish(data);
  return data;
}

}  // namespace ingot
