// What this machine can do at most, measured now, so that every speed can be printed as a share of it.
#pragma once

#include "core/threads.h"

namespace ingot {

struct MachineLimits {
  double read_gb_s;    // all threads reading memory that no cache holds, 1e9 bytes
  double f32_gflop_s;  // register-only loops of the active target, a multiply-add counted as two
  double bf16_gflop_s; // equals f32 where the target widens bf16 instead
  double int8_gop_s;
};

// Takes about half a second and 512 MiB.
MachineLimits measure_machine(ThreadTeam& team);

namespace cpu {

// One call runs `rounds` rounds of independent register operations and returns how many operations that was.
struct PeakLoops {
  double (*f32)(long rounds);
  double (*bf16)(long rounds);  // null: the target has none
  double (*int8)(long rounds);
};

PeakLoops peak_loops_generic();
PeakLoops peak_loops_avx2();
PeakLoops peak_loops_avxvnni();
PeakLoops peak_loops_avx512();
PeakLoops peak_loops_avx512vnni();
PeakLoops peak_loops_avx512bf16();
PeakLoops peak_loops_amx();

}  // namespace cpu
}  // namespace ingot
