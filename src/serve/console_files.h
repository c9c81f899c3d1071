// The console's files, as they lay in web/ when this was built.
#pragma once

#include <span>
#include <string_view>

namespace ingot {

struct ConsoleFile {
  std::string_view name;   // below web/: "pages/chat.js"
  std::string_view bytes;
};

std::span<const ConsoleFile> console_files();

}  // namespace ingot
