#include "kernels/target.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <string>

#include "core/error.h"

namespace ingot {
namespace {

constexpr std::string_view kNames[] = {"generic", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "amx"};

bool has(Target target) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  switch (target) {
    case Target::kGeneric: return true;
    case Target::kAvx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    case Target::kAvxVnni: {
      unsigned a = 7, b = 0, c = 1, d = 0;  // leaf 7.1 EAX bit 4; the compiler's own name for it came later
      __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
      return has(Target::kAvx2) && (a >> 4 & 1);
    }
    case Target::kAvx512:
      return has(Target::kAvx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    case Target::kAvx512Vnni: return has(Target::kAvx512) && __builtin_cpu_supports("avx512vnni");
    case Target::kAvx512Bf16: return has(Target::kAvx512Vnni) && __builtin_cpu_supports("avx512bf16");
    case Target::kAmx: {
      unsigned a = 7, b = 0, c = 0, d = 0;  // leaf 7 EDX: bf16, tiles, int8
      __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
      // Tiles are 8 KiB of state a thread: Linux wants to be asked before the first use (ARCH_REQ_XCOMP_PERM, feature 18), once for all threads.
      return has(Target::kAvx512Bf16) && (d >> 22 & 1) && (d >> 24 & 1) && (d >> 25 & 1) && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
    }
  }
  return false;
#else
  return target == Target::kGeneric;
#endif
}

Target choose() {
  std::vector<Target> found = available_targets();
  const char* asked = std::getenv("INGOT_TARGET");
  if (!asked || !*asked) return found.back();
  for (Target target : found)
    if (target_name(target) == asked) return target;
  std::string list;
  for (Target target : found) list += (list.empty() ? "" : ", ") + std::string(target_name(target));
  throw Error(ErrorKind::environment, "this machine cannot run the target " + std::string(asked), "INGOT_TARGET", "use one of " + list);
}

std::atomic<int> chosen{-1};

}  // namespace

std::string_view target_name(Target target) { return kNames[static_cast<int>(target)]; }

std::vector<Target> available_targets() {
  std::vector<Target> found;
  for (int i = 0; i < static_cast<int>(std::size(kNames)); ++i)
    if (has(static_cast<Target>(i))) found.push_back(static_cast<Target>(i));
  return found;
}

Target active_target() {
  int value = chosen.load(std::memory_order_relaxed);
  if (value < 0) chosen = value = static_cast<int>(choose());
  return static_cast<Target>(value);
}

void force_target(Target target) { chosen = static_cast<int>(target); }

}  // namespace ingot
