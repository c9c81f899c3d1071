#include "kernels/machine_limits.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <new>

#include "core/huge_memory.h"
#include "kernels/target.h"

namespace ingot {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

cpu::PeakLoops loops_of(Target target) {
  switch (target) {
    case Target::kGeneric: return cpu::peak_loops_generic();
    case Target::kAvx2: return cpu::peak_loops_avx2();
    case Target::kAvxVnni: return cpu::peak_loops_avxvnni();
    case Target::kAvx512: return cpu::peak_loops_avx512();
    case Target::kAvx512Vnni: return cpu::peak_loops_avx512vnni();
    case Target::kAvx512Bf16: return cpu::peak_loops_avx512bf16();
    case Target::kAmx: return cpu::peak_loops_amx();
  }
  return cpu::peak_loops_generic();
}

// Best of five runs of a few milliseconds, in 1e9 a second.
double best_rate(double (*loop)(long), ThreadTeam& team) {
  loop(200000);  // wakes the wide units
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    auto start = Clock::now();
    double operations = 0;
    team.run([&](int part, int) {
      double mine = loop(1000000);
      if (part == 0) operations = mine;
    });
    best = std::max(best, operations * team.size() / seconds_since(start) / 1e9);
  }
  return best;
}

// Two lines of 16-byte vectors a step: what limits is memory, not the instructions.
typedef uint64_t Pair __attribute__((vector_size(16)));

uint64_t sum_words(const uint64_t* p, const uint64_t* end) {
  Pair sum[8] = {};
  for (; p < end; p += 16) {
    __builtin_prefetch(p + 512);
    __builtin_prefetch(p + 520);
    for (int i = 0; i < 8; ++i) sum[i] += reinterpret_cast<const Pair*>(p)[i];
  }
  for (int i = 1; i < 8; ++i) sum[0] += sum[i];
  return sum[0][0] + sum[0][1];
}

double read_rate(ThreadTeam& team) {
  constexpr size_t kWords = size_t{1} << 26;  // 512 MiB, beyond any shared cache
  const auto memory = huge_memory(kWords * 8);  // as the weights are: else the address cache limits
  if (!memory) throw std::bad_alloc();
  auto* words = reinterpret_cast<uint64_t*>(memory.get());
  auto share = [&](int part, int parts) { return kWords / 16 * static_cast<size_t>(part) / static_cast<size_t>(parts) * 16; };
  team.run([&](int part, int parts) {
    std::memset(words + share(part, parts), 1, (share(part + 1, parts) - share(part, parts)) * 8);
  });
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    auto start = Clock::now();
    team.run([&](int part, int parts) {
      volatile uint64_t sink = sum_words(words + share(part, parts), words + share(part + 1, parts));
      (void)sink;
    });
    best = std::max(best, static_cast<double>(kWords) * 8 / seconds_since(start) / 1e9);
  }
  return best;
}

}  // namespace

MachineLimits measure_machine(ThreadTeam& team) {
  cpu::PeakLoops loops = loops_of(active_target());
  MachineLimits limits;
  limits.read_gb_s = read_rate(team);
  limits.f32_gflop_s = best_rate(loops.f32, team);
  limits.bf16_gflop_s = loops.bf16 ? best_rate(loops.bf16, team) : limits.f32_gflop_s;
  limits.int8_gop_s = best_rate(loops.int8, team);
  return limits;
}

}  // namespace ingot
