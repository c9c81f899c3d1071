// Sixteen 32-bit lanes in the compiler's own vector types, whatever registers the target has.
#pragma once

#include <cstdint>

// These never cross a call between files, so how they would be passed does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace ingot::cpu {
namespace {

typedef uint32_t V __attribute__((vector_size(64)));
typedef int32_t VI __attribute__((vector_size(64)));
typedef float VF __attribute__((vector_size(64)));

}  // namespace
}  // namespace ingot::cpu
