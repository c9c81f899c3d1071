// The parts of `ingot guard`.
#pragma once

namespace CLI {
class App;
}

namespace ingot {

void add_guard_try(CLI::App& guard);
void add_guard_learn(CLI::App& guard);

}  // namespace ingot
