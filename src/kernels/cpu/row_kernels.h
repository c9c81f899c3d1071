// Operations on one row of f32, and attention on one block of cached positions. The order of every sum depends on the length alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ingot::cpu {

inline constexpr int kCacheBlock = 64;     // positions that one block of the key/value cache holds
inline constexpr int64_t kLowRankColumns = 32;  // of a block of low_rank_up
inline constexpr int kAttentionRows = 6;   // query rows that one call takes

// Elements of a cached position that share a scale where the cache holds 8 or 4 bits, and the bytes of a position. REQUIRES: 16 divides d.
constexpr int64_t cache_part(int64_t d) { return d % 32 ? 16 : 32; }
constexpr int64_t cache_position_bytes(int bits, int64_t d) { return d * bits / 8 + d / cache_part(d) * (bits == 8 ? 2 : 4); }

struct AdamStep {
  float rate, beta1, beta2, epsilon, decay, bias1, bias2, scale;  // bias: 1 - beta^t; scale: what the gradient is multiplied by
};

struct RowKernels {
  float (*dot)(const float* a, const float* b, int64_t n);
  int32_t (*dot_bytes)(const int8_t* a, const int8_t* b, int64_t n);              // exact; REQUIRES: n below 2^17
  void (*add_scaled)(float* y, float a, const float* x, int64_t n);               // y += a x
  void (*add)(const float* a, const float* b, float* y, int64_t n);               // y = a + b; may be in place
  float (*rms_norm)(const float* x, const float* w, float epsilon, float* y, int64_t n);  // returns 1/rms
  // dx += the gradient of y = x * inverse * w; dw += its own.
  void (*rms_norm_backward)(const float* dy, const float* x, const float* w, float inverse, float* dx, float* dw, int64_t n);
  float (*softmax)(float* x, int64_t n);                                          // in place; returns log of the sum of exponentials
  float (*largest)(const float* x, int64_t n);
  void (*exp_minus)(const float* x, float shift, float* y, int64_t n);            // y = exp(x - shift)
  void (*silu_times)(const float* gate, const float* up, float* y, int64_t n);
  void (*silu_times_backward)(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t n);  // adds
  void (*adam)(float* w, const float* g, float* m, float* v, int64_t n, const AdamStep& step);
  void (*to_f16)(const float* x, uint16_t* y, int64_t n);

  // Online softmax over one block: queries [rows][d] (already scaled), keys [d][64], values [64][d]; positions first[r] to
  // count[r] - 1 are valid for row r (none leaves the row alone). peak, total: [rows] running maximum and sum; out: [rows][d]
  // running sum of values.
  void (*attend_f32)(int rows, int64_t d, const float* q, int64_t q_stride, const float* keys, const float* values, const int* first,
                     const int* count, float* peak, float* total, float* out, int64_t out_stride);
  void (*attend_f16)(int rows, int64_t d, const float* q, int64_t q_stride, const uint16_t* keys, const uint16_t* values,
                     const int* first, const int* count, float* peak, float* total, float* out, int64_t out_stride);
  // A block of 8 or 4 bits (each 64 cache_position_bytes(bits, d)) as attend_f32 takes it: keys [d][64] in room, then values [64][d].
  // Positions outside [from, to) may be left alone.
  void (*load_block)(int bits, int64_t d, const std::byte* keys, const std::byte* values, int from, int to, float* room);
  // Writes x [d] as position `at` (0 to 63) of a block of keys or of values.
  void (*store_codes)(int bits, bool keys, const float* x, int64_t d, int at, std::byte* block);

  // The two halves of a low-rank product of one row, which is read once. `ahead` bytes beyond what is read are prefetched: the next row's
  // part. Down: h [rank] = a [rank, n] x. Up: y [n] += b^T h, where b is in blocks of 32 columns, [n/32][rank][32], the last one filled up.
  void (*low_rank_down)(const float* x, const float* a, int64_t rank, int64_t n, int64_t ahead, float* h);
  void (*low_rank_down_f16)(const float* x, const uint16_t* a, int64_t rank, int64_t n, int64_t ahead, float* h);
  void (*low_rank_up)(const float* h, const float* b, int64_t rank, int64_t n, int64_t ahead, float* y);
  void (*low_rank_up_f16)(const float* h, const uint16_t* b, int64_t rank, int64_t n, int64_t ahead, float* y);

  void (*gelu)(const float* x, float* y, int64_t n);                              // x Phi(x), the normal distribution itself; may be in place
  void (*gelu_times)(const float* gate, const float* up, float* y, int64_t n);    // gelu's tanh approximation of gate, times up
  void (*gelu_times_backward)(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t n);  // adds
};

const RowKernels& row_kernels_generic();
const RowKernels& row_kernels_avx2();
const RowKernels& row_kernels_avx512();
const RowKernels& row_kernels();  // of the active target

}  // namespace ingot::cpu
