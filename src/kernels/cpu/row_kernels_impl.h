// The bodies of RowKernels, compiled once per target by the file that includes this.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/cpu/cache_codes.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/cpu/vector16.h"

namespace ingot::cpu {
namespace {

float dot(const float* a, const float* b, int64_t n) {
  F16x s[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (int j = 0; j < 4; ++j) s[j] = fma(load(a + i + 16 * j), load(b + i + 16 * j), s[j]);
  for (; i < n; i += 16) {
    int64_t count = n - i < 16 ? n - i : 16;
    s[0] = fma(load_at(a + i, count), load_at(b + i, count), s[0]);
  }
  return sum_lanes(add(add(s[0], s[1]), add(s[2], s[3])));
}

// Each row has one sum of vectors whatever the rows beside it, so its bits are those it has alone.
template <int R, typename T>
void low_rank_rows(const float* x, const T* a, int64_t n, int64_t ahead, float* h) {
  F16x s[R];
  for (int r = 0; r < R; ++r) s[r] = zero();
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const F16x first = load(x + i), second = load(x + i + 16);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const T* at = a + r * n + i;
      __builtin_prefetch(reinterpret_cast<const char*>(at) + ahead, 0, 2);
      s[r] = fma(first, load(at), s[r]);
      s[r] = fma(second, load(at + 16), s[r]);
    }
  }
  for (; i < n; i += 16)
    for (int r = 0; r < R; ++r) s[r] = fma(load_at(x + i, std::min<int64_t>(16, n - i)), load_at(a + r * n + i, std::min<int64_t>(16, n - i)), s[r]);
  for (int r = 0; r < R; ++r) h[r] = sum_lanes(s[r]);
}

template <typename T>
void low_rank_down(const float* x, const T* a, int64_t rank, int64_t n, int64_t ahead, float* h) {
  int64_t r = 0;
  for (; r + 4 <= rank; r += 4) low_rank_rows<4>(x, a + r * n, n, ahead, h + r);  // enough sums to hide the latency of one
  for (; r < rank; ++r) low_rank_rows<1>(x, a + r * n, n, ahead, h + r);
}

template <typename T>
void low_rank_up(const float* h, const T* b, int64_t rank, int64_t n, int64_t ahead, float* y) {
  for (int64_t i = 0; i < n; i += kLowRankColumns) {
    const int64_t first = n - i < 16 ? n - i : 16, second = n - i < 32 ? n - i - first : 16;
    F16x low = load_at(y + i, first), high = second > 0 ? load_at(y + i + 16, second) : zero();
    for (int64_t r = 0; r < rank; ++r, b += kLowRankColumns) {
      const F16x scale = splat(h[r]);
      __builtin_prefetch(reinterpret_cast<const char*>(b) + ahead, 0, 2);
      low = fma(scale, load(b), low);
      high = fma(scale, load(b + 16), high);
    }
    store_at(y + i, low, first);
    if (second > 0) store_at(y + i + 16, high, second);
  }
}

int32_t dot_bytes(const int8_t* a, const int8_t* b, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];  // the compiler's own vectors: integers may be summed in any order
  return sum;
}

void add_scaled(float* y, float a, const float* x, int64_t n) {
  F16x scale = splat(a);
  each16(x, n, 0, [&](int64_t i, F16x v, int64_t c) { store_at(y + i, fma(scale, v, load_at(y + i, c)), c); });
}

void add_rows(const float* a, const float* b, float* y, int64_t n) {
  each16(a, n, 0, [&](int64_t i, F16x v, int64_t c) { store_at(y + i, add(v, load_at(b + i, c)), c); });
}

float rms_norm(const float* x, const float* w, float epsilon, float* y, int64_t n) {
  float inverse = 1.0f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + epsilon);
  F16x scale = splat(inverse);
  each16(x, n, 0, [&](int64_t i, F16x v, int64_t c) { store_at(y + i, mul(mul(v, scale), load_at(w + i, c)), c); });
  return inverse;
}

void rms_norm_backward(const float* dy, const float* x, const float* w, float inverse, float* dx, float* dw, int64_t n) {
  F16x s = zero();
  each16(x, n, 0, [&](int64_t i, F16x v, int64_t c) { s = fma(mul(load_at(dy + i, c), load_at(w + i, c)), v, s); });
  F16x pull = splat(-sum_lanes(s) * inverse * inverse * inverse / static_cast<float>(n)), scale = splat(inverse);
  each16(x, n, 0, [&](int64_t i, F16x v, int64_t c) {
    F16x d = load_at(dy + i, c);
    store_at(dx + i, add(load_at(dx + i, c), fma(mul(d, load_at(w + i, c)), scale, mul(v, pull))), c);
    if (dw) store_at(dw + i, fma(mul(d, v), scale, load_at(dw + i, c)), c);
  });
}

float largest_of(const float* x, int64_t n) {
  F16x top = splat(-INFINITY);
  each16(x, n, -INFINITY, [&](int64_t, F16x v, int64_t) { top = largest(top, v); });
  return largest_lane(top);
}

void exp_minus(const float* x, float shift, float* y, int64_t n) {
  F16x by = splat(shift);
  each16(x, n, 0, [&](int64_t i, F16x v, int64_t c) { store_at(y + i, exponential(sub(v, by)), c); });
}

float softmax(float* x, int64_t n) {
  float top = largest_of(x, n);
  F16x by = splat(top), s = zero();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    F16x e = exponential(sub(load(x + i), by));
    store(x + i, e);
    s = add(s, e);
  }
  if (i < n) {
    float v[16] = {};
    store_some(v, exponential(sub(load_some(x + i, n - i, 0), by)), n - i);
    s = add(s, load(v));
    std::memcpy(x + i, v, static_cast<size_t>(n - i) * sizeof(float));
  }
  float total = sum_lanes(s);
  F16x scale = splat(1.0f / total);
  each16(x, n, 0, [&](int64_t j, F16x v, int64_t c) { store_at(x + j, mul(v, scale), c); });
  return top + std::log(total);
}

F16x sigmoid(F16x x) { return div(splat(1.0f), add(splat(1.0f), exponential(sub(zero(), x)))); }

void silu_times(const float* gate, const float* up, float* y, int64_t n) {
  each16(gate, n, 0, [&](int64_t i, F16x g, int64_t c) { store_at(y + i, mul(mul(g, sigmoid(g)), load_at(up + i, c)), c); });
}

void silu_times_backward(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t n) {
  each16(gate, n, 0, [&](int64_t i, F16x g, int64_t c) {
    F16x s = sigmoid(g), d = load_at(dy + i, c), u = load_at(up + i, c), silu = mul(g, s);
    store_at(dup + i, fma(d, silu, load_at(dup + i, c)), c);
    F16x slope = fma(silu, sub(splat(1.0f), s), s);  // d silu / d gate
    store_at(dgate + i, fma(mul(d, u), slope, load_at(dgate + i, c)), c);
  });
}

// Rational minimax approximation of erf, exact to 4e-7 (a test holds it to the C library's); beyond 4 it is 1.
F16x error_function(F16x x) {
  x = smallest(largest(x, splat(-4.0f)), splat(4.0f));
  constexpr float kOver[] = {2.77068142495902e-08f,  -2.10102402082508e-06f, -5.69250639462346e-05f,
                             -7.34990630326855e-04f, -2.95459980854025e-03f, -1.60960333262415e-02f};
  constexpr float kUnder[] = {-2.13374055278905e-04f, -1.68282697438203e-03f, -7.37332916720468e-03f, -1.42647390514189e-02f};
  const F16x s = mul(x, x);
  F16x p = splat(-2.72614225801306e-10f), q = splat(-1.45660718464996e-05f);
  for (float a : kOver) p = fma(p, s, splat(a));
  for (float b : kUnder) q = fma(q, s, splat(b));
  return div(mul(x, p), q);
}

void gelu(const float* x, float* y, int64_t n) {
  each16(x, n, 0, [&](int64_t i, F16x v, int64_t c) {
    F16x e = error_function(mul(v, splat(0.70710678118654752f)));
    store_at(y + i, mul(mul(v, splat(0.5f)), add(splat(1.0f), e)), c);
  });
}

// (1 + tanh u) / 2 is the logistic function of 2u; u = sqrt(2/pi) (x + 0.044715 x^3).
F16x gelu_gate(F16x x) {
  F16x cubic = fma(mul(splat(0.044715f), mul(x, x)), x, x);
  return sigmoid(mul(splat(1.5957691216057308f), cubic));
}

void gelu_times(const float* gate, const float* up, float* y, int64_t n) {
  each16(gate, n, 0, [&](int64_t i, F16x g, int64_t c) { store_at(y + i, mul(mul(g, gelu_gate(g)), load_at(up + i, c)), c); });
}

void gelu_times_backward(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t n) {
  each16(gate, n, 0, [&](int64_t i, F16x g, int64_t c) {
    F16x s = gelu_gate(g), d = load_at(dy + i, c), u = load_at(up + i, c), value = mul(g, s);
    store_at(dup + i, fma(d, value, load_at(dup + i, c)), c);
    F16x inner = mul(splat(1.5957691216057308f), fma(mul(splat(3 * 0.044715f), g), g, splat(1.0f)));
    F16x slope = fma(mul(value, sub(splat(1.0f), s)), inner, s);
    store_at(dgate + i, fma(mul(d, u), slope, load_at(dgate + i, c)), c);
  });
}

void adam(float* w, const float* g, float* m, float* v, int64_t n, const AdamStep& p) {
  F16x scale = splat(p.scale), b1 = splat(p.beta1), b2 = splat(p.beta2), r1 = splat(1 - p.beta1), r2 = splat(1 - p.beta2);
  F16x step = splat(p.rate / p.bias1), inverse2 = splat(1.0f / std::sqrt(p.bias2)), eps = splat(p.epsilon);
  F16x keep = splat(1 - p.rate * p.decay);
  each16(g, n, 0, [&](int64_t i, F16x grad, int64_t c) {
    grad = mul(grad, scale);
    F16x first = fma(b1, load_at(m + i, c), mul(r1, grad)), second = fma(b2, load_at(v + i, c), mul(r2, mul(grad, grad)));
    store_at(m + i, first, c);
    store_at(v + i, second, c);
    F16x change = div(mul(step, first), add(mul(root(second), inverse2), eps));
    store_at(w + i, sub(mul(load_at(w + i, c), keep), change), c);
  });
}

void to_f16(const float* x, uint16_t* y, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
#endif
  for (; i < n; ++i) y[i] = f16_of_f32(x[i]);
}

// How many vectors of scores or values a row has at once: with 6 rows of 2 registers each AVX2's 16 are enough, AVX-512 has room for more.
// Eight sums (4 rows) just cover the multiplier's latency on Zen 3, twelve leave room: a block of d = 128 reaches 84 to 87 % of its peak.
#if defined(__AVX512F__)
constexpr int kAcross = 4;
#else
constexpr int kAcross = 1;
#endif

// scores[r][0, 16 N) = q[r] keys, one chain over d an element, whatever N and R are.
template <int R, int N, typename T>
void score_rows(int64_t d, const float* q, int64_t q_stride, const T* keys, float (*scores)[kCacheBlock]) {
  F16x sum[R][N];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < N; ++j) sum[r][j] = zero();
  for (int64_t p = 0; p < d; ++p) {
    F16x k[N];
#pragma GCC unroll 6
    for (int j = 0; j < N; ++j) k[j] = load(keys + p * kCacheBlock + 16 * j);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      F16x s = splat(q[r * q_stride + p]);
#pragma GCC unroll 6
      for (int j = 0; j < N; ++j) sum[r][j] = fma(s, k[j], sum[r][j]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < N; ++j) store(scores[r] + 16 * j, sum[r][j]);
}

// out[r][0, 16 N) += weights[r] values over positions [from, to), in rising order.
template <int R, int N, typename T>
void value_rows(int64_t d, int from, int to, const float (*weights)[kCacheBlock], const T* values, float* out, int64_t out_stride) {
  F16x sum[R][N];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < N; ++j) sum[r][j] = load(out + r * out_stride + 16 * j);
  for (int at = from; at < to; ++at) {
    F16x v[N];
#pragma GCC unroll 6
    for (int j = 0; j < N; ++j) v[j] = load(values + at * d + 16 * j);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      F16x w = splat(weights[r][at]);
#pragma GCC unroll 6
      for (int j = 0; j < N; ++j) sum[r][j] = fma(w, v[j], sum[r][j]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < N; ++j) store(out + r * out_stride + 16 * j, sum[r][j]);
}

// R rows share the loads of keys and values; what a row computes does not depend on its company: positions beyond its own have the
// weight 0, which changes no sum.
template <int R, typename T>
void attend_rows(int64_t d, const float* q, int64_t q_stride, const T* keys, const T* values, const int* first, const int* count,
                 float* peak, float* total, float* out, int64_t out_stride) {
  int lowest = kCacheBlock, longest = 0;
  for (int r = 0; r < R; ++r) {
    if (count[r] <= first[r]) continue;
    if (first[r] < lowest) lowest = first[r];
    if (count[r] > longest) longest = count[r];
  }
  alignas(64) float weight[R][kCacheBlock];
  const int begin = lowest / (16 * kAcross) * (16 * kAcross);
  for (int at = begin; at < longest; at += 16 * kAcross)
    score_rows<R, kAcross>(d, q, q_stride, keys + at, reinterpret_cast<float(*)[kCacheBlock]>(&weight[0][at]));
  float high[R];
  for (int r = 0; r < R; ++r) {
    for (int j = 0; j < first[r]; ++j) weight[r][j] = -INFINITY;
    for (int j = count[r] > 0 ? count[r] : 0; j < kCacheBlock; ++j) weight[r][j] = -INFINITY;
    high[r] = largest_lane(largest(largest(load(weight[r]), load(weight[r] + 16)), largest(load(weight[r] + 32), load(weight[r] + 48))));
  }
  for (int r = 0; r < R; ++r) {
    if (count[r] <= first[r] || !(high[r] > peak[r])) {
      high[r] = peak[r];
      continue;
    }
    // What was summed so far was relative to the old maximum.
    const float lower = peak[r] == -INFINITY ? 0.0f : std::exp(peak[r] - high[r]);
    total[r] *= lower;
    const F16x by = splat(lower);
    for (int64_t i = 0; i < d; i += 16) store(out + r * out_stride + i, mul(load(out + r * out_stride + i), by));
    peak[r] = high[r];
  }
  for (int r = 0; r < R; ++r) {
    if (count[r] <= first[r]) {
      for (float& w : weight[r]) w = 0;
      continue;
    }
    const F16x by = splat(high[r]);
    for (int j = 0; j < 4; ++j) store(weight[r] + 16 * j, exponential(sub(load(weight[r] + 16 * j), by)));
    for (int j = 0; j < first[r]; ++j) weight[r][j] = 0;
    for (int j = count[r]; j < kCacheBlock; ++j) weight[r][j] = 0;
    F16x s = zero();
    for (int j = 0; j < 4; ++j) s = add(s, load(weight[r] + 16 * j));
    total[r] += sum_lanes(s);
  }
  int64_t i = 0;
  for (; i + 16 * kAcross <= d; i += 16 * kAcross) value_rows<R, kAcross>(d, lowest, longest, weight, values + i, out + i, out_stride);
  for (; i < d; i += 16) value_rows<R, 1>(d, lowest, longest, weight, values + i, out + i, out_stride);
}

template <typename T>
void attend(int rows, int64_t d, const float* q, int64_t q_stride, const T* keys, const T* values, const int* first, const int* count,
            float* peak, float* total, float* out, int64_t out_stride) {
  using Fn = void (*)(int64_t, const float*, int64_t, const T*, const T*, const int*, const int*, float*, float*, float*, int64_t);
  static constexpr Fn by_rows[kAttentionRows] = {attend_rows<1, T>, attend_rows<2, T>, attend_rows<3, T>, attend_rows<4, T>, attend_rows<5, T>, attend_rows<6, T>};
  by_rows[rows - 1](d, q, q_stride, keys, values, first, count, peak, total, out, out_stride);
}

void load_block(int bits, int64_t d, const std::byte* keys, const std::byte* values, int from, int to, float* room) {
  load_keys(bits, keys, d, kAcross == 1 ? to : kCacheBlock, room);
  load_values(bits, values, d, from, to, room + kCacheBlock * d);
}

constexpr RowKernels kRowKernels = {dot, dot_bytes, add_scaled, add_rows, rms_norm, rms_norm_backward, softmax, largest_of,
                                    exp_minus, silu_times, silu_times_backward, adam, to_f16, attend<float>, attend<uint16_t>,
                                    load_block, store_codes, low_rank_down<float>, low_rank_down<uint16_t>, low_rank_up<float>,
                                    low_rank_up<uint16_t>, gelu, gelu_times, gelu_times_backward};

}  // namespace
}  // namespace ingot::cpu
