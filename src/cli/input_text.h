// The text of a FILE argument.
#pragma once

#include <iostream>
#include <iterator>
#include <string>

#include "core/files.h"

namespace ingot {

// "-" is standard input, to its end. Throws as read_file does.
inline std::string input_text(const std::string& file) { return file == "-" ? std::string(std::istreambuf_iterator<char>(std::cin), {}) : read_file(file); }

}  // namespace ingot
