#include "train/student_plan.h"

#include <cmath>
#include <cstdlib>

#include "core/error.h"

namespace ingot {

StudentSize parse_student_size(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end ? end : "";
  using Unit = StudentSize::Unit;
  struct Word {
    const char* name;
    Unit unit;
    double by;
  };
  constexpr Word words[] = {{"K", Unit::kParameters, 1e3}, {"M", Unit::kParameters, 1e6}, {"B", Unit::kParameters, 1e9}, {"KB", Unit::kBytes, 1e3},
                            {"MB", Unit::kBytes, 1e6},     {"GB", Unit::kBytes, 1e9},     {"tok/s", Unit::kSpeed, 1}};
  if (std::isfinite(value) && value > 0)
    for (const Word& word : words)
      if (unit == word.name) return {word.unit, value * word.by};
  throw Error(ErrorKind::usage, "\"" + text + "\" is no size of a student", "--student", "write parameters (60M), a size on disk (16MB) or a speed (200tok/s)");
}

LlamaConfig plan_student(const LlamaConfig& teacher, int64_t vocab, int64_t parameters) {
  constexpr int64_t kStep = 32;  // a block of the quantised types
  constexpr double kWidth = 2, kLayers = 1, kGroups = 0.8, kHidden = 0.6;
  const int64_t share = teacher.heads / teacher.groups;
  LlamaConfig best;
  double least = INFINITY;
  auto shrunk = [](int64_t from, int64_t to) { return std::log(static_cast<double>(from) / static_cast<double>(to)); };
  for (int64_t width = teacher.width; width >= kStep; width -= kStep)
    for (int64_t groups = 1; groups <= teacher.groups; ++groups)
      for (int64_t layers = 1; layers <= teacher.layers; ++layers) {
        LlamaConfig c = teacher;
        c.vocab = vocab, c.width = width, c.groups = groups, c.heads = groups * share, c.layers = layers, c.hidden = 0;
        const int64_t room = parameters - c.parameters();
        c.hidden = std::min(teacher.hidden, room / (3 * width * layers) / kStep * kStep);
        if (room <= 0 || c.hidden < std::max(kStep, width / 2) || static_cast<double>(c.parameters()) < 0.9 * static_cast<double>(parameters)) continue;
        const double cost = kWidth * shrunk(teacher.width, width) + kLayers * shrunk(teacher.layers, layers) + kGroups * shrunk(teacher.groups, groups) +
                            kHidden * shrunk(teacher.hidden, c.hidden);
        if (cost < least) least = cost, best = c;
      }
  if (!std::isfinite(least)) {
    LlamaConfig c = teacher;
    c.vocab = vocab;
    throw Error(ErrorKind::usage, "no student of " + std::to_string(parameters) + " parameters can be cut from a teacher of " + std::to_string(c.parameters()) + " with " + std::to_string(vocab) + " tokens",
                "--student", "ask for a size below the teacher's, and above what its token table takes");
  }
  return best;
}

}  // namespace ingot
