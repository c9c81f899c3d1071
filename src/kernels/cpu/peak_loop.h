// A loop of independent dependency chains that the compiler can neither fold nor drop.
#pragma once

namespace ingot::cpu {
namespace {

// Chains * rounds applications of step(sum, x, y); enough chains to hide the latency of any target, few enough for its registers.
template <int Chains, class Sum, class Value, class Step>
double run_chains(long rounds, double per_step, Sum zero, Value x, Value y, Step step) {
  Sum sum[Chains];
  // Unrolled too: one index that is not a constant would put the sums on the stack and measure stores instead.
#pragma GCC unroll 24
  for (int i = 0; i < Chains; ++i) sum[i] = zero;
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < Chains; ++i) {
      sum[i] = step(sum[i], x, y);
      __asm__ volatile("" : "+v"(sum[i]));
    }
  }
  return per_step * Chains * static_cast<double>(rounds);
}

}  // namespace
}  // namespace ingot::cpu
