// The tile registers of AMX; included only by files compiled for it.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace ingot::cpu {

// How the eight registers are cut, as the instruction reads it.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, zero[14] = {};
  uint16_t bytes[16] = {};  // of a row
  uint8_t rows[16] = {};
};

inline constexpr TileShapes whole_tiles = [] {  // 16 rows of 64 bytes, all eight
  TileShapes s;
  for (int i = 0; i < 8; ++i) s.rows[i] = 16, s.bytes[i] = 64;
  return s;
}();

// Sets the shapes once a thread: doing so clears the registers and takes tens of cycles.
inline void use_tiles() {
  thread_local bool set = false;
  if (set) return;
  __asm__ volatile("ldtilecfg %0" ::"m"(whole_tiles));
  set = true;
}

// The compiler's own intrinsics do not say that a load reads memory, so what was stored just before could come too late.
template <int Tile>
inline void load_tile(const void* from, int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
inline void store_tile(void* to, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
inline void clear_tile() {
  __asm__ volatile("tilezero %%tmm%c0" ::"i"(Tile));
}
// Sum += left * right; `left` and `right` are the registers.
template <int Sum, int Left, int Right>
inline void multiply_bf16() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(Left), "i"(Right));
}
template <int Sum, int Left, int Right>
inline void multiply_int8() {  // both signed
  __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(Left), "i"(Right));
}

}  // namespace ingot::cpu
