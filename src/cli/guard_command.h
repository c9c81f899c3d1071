// The parts of `ingot guard`.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ingot {

// The lines of a file that are not empty; throws Error (input) if it cannot be read.
std::vector<std::string> lines_of_file(const std::string& path);

void add_guard_try(CLI::App& guard);
void add_guard_learn(CLI::App& guard);

}  // namespace ingot
