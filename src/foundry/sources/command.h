// Runs another program without a shell.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// Hands the program's output over piece by piece; returns its exit status (128 when it was killed).
// Throws Error (environment) if it cannot be started.
int run_command(const std::vector<std::string>& command, const std::function<void(std::string_view)>& take);

}  // namespace ingot
