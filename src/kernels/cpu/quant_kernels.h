// The integer inner loops for block-quantised weights; matmul.cc drives them.
//
// Every format becomes one panel form: 32 rows of W, bytes, k in blocks of 32. Group g holds rows 16g..16g+15:
//   quants[g][block][8 steps][16 rows][4 bytes]     a step is 4 consecutive k
//   scales[g][block][sub][16 rows], mins likewise   sub: parts of a block with a scale of their own (1 or 2)
// Without minima the stored byte is the weight plus `offset`; x's own sums take the offset out again, exactly, in integers.
//
// Weights that stay are interleaved once, 16 rows a group, a block after the other: what stands at byte `at` of the type's block, 4 or
// 2 bytes wide, stands for the 16 rows together at 16 * at. So a few rows of x read them as one stream, lane by lane, and a panel
// needs no transposition.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/element_type.h"

namespace ingot::cpu {

inline constexpr int kPanelRows = 32, kGroupRows = 16;

// What a part's products may be summed in without VNNI: 16 bits once the offset is out; the same after a further offset of 16; signed
// bytes, 32 bits.
enum class Width { kNarrow, kLifted, kSigned };

// What a target's sums start from: a word a part, or a pair of 16-bit halves (quant_dot.h).
enum class Sums { kWhole, kPairs };

struct QuantForm {
  int sub;      // 1 or 2 scales a block of 32
  int offset;   // 0 when there are minima
  bool minima;
  Width width;
};
QuantForm quant_form(ElementType type);  // REQUIRES: a block type

struct Panel {
  const uint8_t* quants;
  const float* scales;        // null: interleaved Q8_0 as it stands, each block of a group 16 f16 scales, then its quants
  const float* mins;          // null without minima
  int64_t quants_stride;      // bytes from group 0 to group 1
  int64_t scales_stride;      // floats from group 0 to group 1
  const std::byte* ahead = nullptr;  // what is read after the product, or null: `tile` has ahead_lines cache lines of it fetched with each block
  int ahead_lines = 0;
};

struct Activations {
  const int8_t* quants;  // [rows][quants_stride]
  const float* scales;   // [rows][scales_stride], one a block of 32
  const int32_t* start;  // [rows][scales_stride*sub]: -offset * sum of the part's quants, in the form of the target's Sums
  const float* sums;     // [rows][scales_stride*sub]: scale * sum of the part's quants; with minima only
  int64_t quants_stride, scales_stride;
};

struct QuantKernels {
  int mr;           // rows of x that one tile takes
  int stream_rows;  // rows of x up to which `stream` is used
  Sums sums;
  bool eight_as_stored;  // `tile` takes interleaved Q8_0 without expand: a few rows of x pay for no copy

  // Blocks k0/32 .. (k0+depth)/32 of `rows` (1..32) rows of W into a panel; k0 and depth are multiples of the type's block.
  // `ahead` bytes beyond each byte read are prefetched. Rows beyond `rows` repeat the last one.
  void (*pack)(ElementType type, const uint8_t* w, int64_t stride, int rows, int64_t k0, int64_t depth, int64_t ahead, uint8_t* quants,
               float* scales, float* mins);

  // The same from 1 or 2 interleaved groups; with 1 the panel's second half is left alone.
  void (*expand)(ElementType type, const uint8_t* w, int64_t group_stride, int groups, int64_t k0, int64_t depth, uint8_t* quants,
                 float* scales, float* mins);

  // `rows` (1..16) rows of length k into one interleaved group. Rows beyond `rows` repeat the last one.
  void (*interleave)(ElementType type, const uint8_t* w, int64_t stride, int rows, int64_t k, uint8_t* out);

  // y[i*ldy + r] = (load ? y : 0) + the product over `blocks` blocks, for `rows` (1..mr) rows of x and `groups` * 16 rows of W:
  // block by block acc = fma(w_scale * x_scale, integer sum, acc), then with minima acc = fma(w_min, x_sum, acc).
  void (*tile)(const QuantForm& form, int groups, int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy,
               bool load);

  // The same for `rows` (1..stream_rows) rows of x and one interleaved group, from 0.
  void (*stream)(ElementType type, const uint8_t* w, int rows, int64_t blocks, const Activations& x, float* y, int64_t ldy);
};

const QuantKernels& quant_kernels_generic();
const QuantKernels& quant_kernels_avx2();
const QuantKernels& quant_kernels_avxvnni();
const QuantKernels& quant_kernels_avx512vnni();
const QuantKernels& quant_kernels();  // of the active target

// Symmetric int8 in blocks of 32, the same bits on every target: scale = largest/127, nearest even.
// `start` and `sums` as in Activations. A NaN makes its block's scale NaN.
void quantize_activations(const QuantForm& form, Sums form_of_sums, const float* x, int64_t k, int8_t* quants, float* scales, int32_t* start,
                          float* sums);

}  // namespace ingot::cpu
