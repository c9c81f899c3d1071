// Which instruction set the kernels use: the best this machine has, or the one INGOT_TARGET names.
#pragma once

#include <string_view>
#include <vector>

namespace ingot {

// Each includes the ones before it. kAvx512Bf16 has VNNI and bf16 dot products, kAmx tiles of bytes and of bf16.
enum class Target { kGeneric, kAvx2, kAvxVnni, kAvx512, kAvx512Vnni, kAvx512Bf16, kAmx };

std::string_view target_name(Target target);  // "generic", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "amx"

// Those this machine can run, in rising order; never empty.
std::vector<Target> available_targets();

// INGOT_TARGET is read at first use; throws Error (environment) when it names a target that this machine lacks.
Target active_target();

// Changes the target from here on; for tests and the bench, while no kernel runs. REQUIRES: target is available.
void force_target(Target target);

}  // namespace ingot
