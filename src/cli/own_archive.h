// An executable AI carries its archive behind its own code: a FILE that was not given is this file.
#pragma once

#include <filesystem>
#include <string>

#include "core/error.h"
#include "core/files.h"
#include "formats/archive.h"

namespace ingot {

inline std::filesystem::path own_archive_or(const std::string& given, const char* advice = "give its file, NAME.ingot") {
  if (!given.empty()) return given;
  if (looks_like_archive(own_path())) return own_path();
  throw Error(ErrorKind::usage, "no AI is named", "", advice);
}

}  // namespace ingot
