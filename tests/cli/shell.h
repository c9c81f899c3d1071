// Runs a command line as a person's shell would.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace ingot::harness {

struct Ran {
  int code;         // exit status; 1000 + the signal that ended it
  std::string out;  // stdout and stderr, as they came
};

inline Ran shell(const std::string& command) {
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  std::string out;
  std::array<char, 4096> buffer;
  for (size_t got; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) out.append(buffer.data(), got);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), out};
}

inline const std::string kIngot = INGOT_BINARY;

}  // namespace ingot::harness
