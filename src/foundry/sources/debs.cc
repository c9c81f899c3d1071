#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "foundry/sources/command.h"
#include "foundry/sources/source.h"

namespace ingot {
namespace {

std::filesystem::path cache() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  return std::filesystem::path(xdg && *xdg ? std::string(xdg) : std::string(home ? home : "/tmp") + "/.cache") / "ingot" / "debs";
}

// apt writes colons of a version as %3a.
std::string file_stem(const std::string& package, std::string version) {
  for (size_t at; (at = version.find(':')) != std::string::npos;) version.replace(at, 1, "%3a");
  return package + "_" + version + "_";
}

std::filesystem::path downloaded(const std::filesystem::path& folder, const std::string& stem) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(stem) && name.ends_with(".deb")) return entry.path();
  }
  return {};
}

}  // namespace

Dataset read_debs(const std::filesystem::path& list, const Holding& hold) {
  std::istringstream in{read_file(list, 1 << 20)};
  const std::filesystem::path debs = cache();
  const std::filesystem::path docs = debs / "unpacked" / list.stem();
  std::error_code failed;
  std::filesystem::remove_all(docs, failed);
  std::filesystem::create_directories(docs, failed);
  if (failed) throw Error(ErrorKind::environment, "cannot make the cache folder", docs.string(), "set XDG_CACHE_HOME to a folder that can be written");
  const auto quiet = [](std::string_view) {};
  std::vector<SkippedRow> missing;
  uint64_t number = 0, packages = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    line.resize(std::min(line.find('#'), line.size()));
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (line.empty()) continue;
    const size_t equals = line.find('=');
    // Names go to programs: only what Debian allows in them, and never a leading dash.
    if (equals == std::string::npos || equals == 0 || line[0] == '-' ||
        line.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.:~=") != std::string::npos) {
      bad_input(fmt::format("\"{}\" is not package=version", line), fmt::format("{}:{}", list.string(), number), "write for example dpkg=1.21.22");
    }
    ++packages;
    const std::string stem = file_stem(line.substr(0, equals), line.substr(equals + 1));
    std::filesystem::path deb = downloaded(debs, stem);
    if (deb.empty()) {
      run_command({"sh", "-c", "cd \"$1\" && exec apt-get -qq download \"$2\" 2>/dev/null", "sh", debs.string(), line}, quiet);
      deb = downloaded(debs, stem);
    }
    if (deb.empty() ||
        run_command({"sh", "-c", "dpkg-deb --fsys-tarfile \"$1\" | tar -x -C \"$2\" --wildcards './usr/share/doc/*/changelog*'", "sh", deb.string(), docs.string()}, quiet) != 0) {
      missing.push_back({fmt::format("package {} cannot be had with apt-get download", line), list.string(), number});
    }
  }
  if (missing.size() == packages) {
    throw Error(ErrorKind::environment, "none of the listed packages can be downloaded", list.string(),
                "check the network, run apt-get update, or name another source");
  }
  Dataset data = read_changelogs(docs / "usr/share/doc", hold);
  data.described = fmt::format("changelogs of {} pinned Debian packages ({})", packages - missing.size(), list.filename().string());
  for (SkippedRow& row : missing) data.skip(row.reason, row.file, row.line);
  return data;
}

}  // namespace ingot
