// Every operation's result and gradients against PyTorch's (tools/make_engine_goldens.py).
#include "ops/ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>

#include "core/random.h"
#include "formats/gguf.h"
#include "kernels/target.h"
#include "ops/encoder_ops.h"
#include "ops/kv_cache.h"

namespace ingot {
namespace {

const Gguf& goldens() {
  static auto file = Gguf::open(std::string(INGOT_TEST_DATA) + "/ops/data/ops.gguf");
  return *file;
}

// The largest difference as a share of the largest expected value; infinite when anything is not a number.
float difference(const float* found, const float* expected, int64_t n) {
  float top = 1e-6f, most = 0;
  for (int64_t i = 0; i < n; ++i) top = std::max(top, std::abs(expected[i]));
  for (int64_t i = 0; i < n; ++i) {
    float d = std::abs(found[i] - expected[i]) / top;
    if (!(d <= most)) most = std::isnan(d) ? INFINITY : d;
  }
  return most;
}

TEST(Difference, SeesNanSignAndScale) {
  const float right[4] = {1, -0.5f, 0.25f, 2};
  EXPECT_EQ(difference(right, right, 4), 0);
  const float nan[4] = {1, NAN, 0.25f, 2}, sign[4] = {1, 0.5f, 0.25f, 2}, scale[4] = {1.001f, -0.5005f, 0.25025f, 2.002f};
  for (const float* wrong : {nan, sign, scale}) EXPECT_GT(difference(wrong, right, 4), 5e-4f);
}

class OpsTest : public testing::Test {
 protected:
  ThreadTeam team_{2};
  Arena arena_;
  Tape tape_;
  Context c_{team_, arena_, &tape_};

  const GgufTensor& golden(const std::string& name) {
    const GgufTensor* t = goldens().find(name);
    EXPECT_NE(t, nullptr) << name;
    return *t;
  }
  Tensor input(const std::string& name) {
    const GgufTensor& t = golden(name);
    Tensor x = c_.make(t.shape.size() > 1 ? t.shape[0] : 1, t.shape.back());
    std::memcpy(x.data, t.data, t.bytes);
    return x;
  }
  Weight weight(const std::string& name) {
    Tensor x = input(name);
    return {name, ElementType::kF32, x.rows, x.cols, x.data, x.grad};
  }
  // 2e-6 is 16 units in the last place of the largest value: what sums of this length may differ by in f32.
  void expect_close(const float* found, const std::string& name, float most = 2e-6f) {
    const GgufTensor& t = golden(name);
    EXPECT_LE(difference(found, reinterpret_cast<const float*>(t.data), t.elements()), most) << name;
  }
  void backward(Tensor y, const std::string& name) {
    expect_close(y.data, name + ".y");
    std::memcpy(y.grad, golden(name + ".dy").data, static_cast<size_t>(y.size()) * sizeof(float));
    tape_.backward();
  }
};

TEST_F(OpsTest, Linear) {
  Tensor x = input("linear.x");
  Weight w = weight("linear.w"), b = weight("linear.b");
  backward(linear(c_, x, w, b), "linear");
  expect_close(x.grad, "linear.dx");
  expect_close(w.grad, "linear.dw");
  expect_close(b.grad, "linear.db");
}

TEST_F(OpsTest, LinearInBf16IsCloseAndNotEqual) {
  c_.bf16 = true;
  Tensor x = input("linear.x");
  Weight w = weight("linear.w"), b = weight("linear.b");
  Tensor y = linear(c_, x, w, b);
  expect_close(y.data, "linear.y", 0.02f);
  EXPECT_NE(std::memcmp(y.data, golden("linear.y").data, static_cast<size_t>(y.size()) * 4), 0);
}

TEST_F(OpsTest, Add) {
  Tensor a = input("add.a"), b = input("add.b");
  backward(add(c_, a, b), "add");
  expect_close(a.grad, "add.da");
  expect_close(b.grad, "add.db");
}

TEST_F(OpsTest, Swiglu) {
  Tensor gate = input("swiglu.gate"), up = input("swiglu.up");
  backward(swiglu(c_, gate, up), "swiglu");
  expect_close(gate.grad, "swiglu.dgate");
  expect_close(up.grad, "swiglu.dup");
}

// The definition in double, and its slope by central differences.
double tanh_gelu(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))); }

TEST_F(OpsTest, GegluOnEveryTarget) {
  const Target before = active_target();
  for (Target target : available_targets()) {
    force_target(target);
    Tensor gate = c_.make(3, 37), up = c_.make(3, 37);
    for (int64_t i = 0; i < gate.size(); ++i) {
      gate.data[i] = static_cast<float>(i - 55) * 0.17f;
      up.data[i] = static_cast<float>(i % 7) - 2.5f;
    }
    Tensor y = geglu(c_, gate, up);
    for (int64_t i = 0; i < y.size(); ++i) y.grad[i] = static_cast<float>(i % 5) - 1.5f;
    tape_.backward();
    for (int64_t i = 0; i < y.size(); ++i) {
      const double g = gate.data[i], u = up.data[i], dy = y.grad[i], h = 1e-5;
      EXPECT_NEAR(y.data[i], tanh_gelu(g) * u, 2e-6 * (1 + std::abs(g * u)));
      EXPECT_NEAR(up.grad[i], tanh_gelu(g) * dy, 2e-6 * (1 + std::abs(g * dy)));
      EXPECT_NEAR(gate.grad[i], (tanh_gelu(g + h) - tanh_gelu(g - h)) / (2 * h) * u * dy, 5e-6 * (1 + std::abs(u * dy)));
    }
  }
  force_target(before);
}

TEST_F(OpsTest, GeluAndLayerNormOnEveryTarget) {
  const Target before = active_target();
  Context c{team_, arena_};
  for (Target target : available_targets()) {
    force_target(target);
    Tensor x = c.make(1, 4001);
    for (int64_t i = 0; i < x.cols; ++i) x.data[i] = static_cast<float>(i - 2000) * 0.004f;
    Tensor y = c.make(1, x.cols);
    std::memcpy(y.data, x.data, static_cast<size_t>(x.cols) * sizeof(float));
    gelu(c, y);
    for (int64_t i = 0; i < x.cols; ++i) {
      const double v = x.data[i];
      EXPECT_NEAR(y.data[i], 0.5 * v * (1 + std::erf(v / std::numbers::sqrt2)), 4e-7 * (1 + std::abs(v))) << v;
    }
    std::vector<float> w(53, 1.5f), b(53, -0.25f);
    Tensor n = c.make(2, 53);
    for (int64_t i = 0; i < n.size(); ++i) n.data[i] = static_cast<float>((i * 37) % 101) * 0.3f + 100;
    Tensor z = layer_norm(c, n, {"w", ElementType::kF32, 1, 53, w.data(), nullptr}, {"b", ElementType::kF32, 1, 53, b.data(), nullptr}, 1e-5f);
    for (int64_t r = 0; r < 2; ++r) {
      double mean = 0, variance = 0;
      for (int64_t i = 0; i < 53; ++i) mean += n.row(r)[i] / 53.0;
      for (int64_t i = 0; i < 53; ++i) variance += (n.row(r)[i] - mean) * (n.row(r)[i] - mean) / 53.0;
      for (int64_t i = 0; i < 53; ++i) EXPECT_NEAR(z.row(r)[i], (n.row(r)[i] - mean) / std::sqrt(variance + 1e-5) * 1.5 - 0.25, 2e-5);
    }
  }
  force_target(before);
}

TEST_F(OpsTest, RmsNorm) {
  for (auto [name, epsilon] : {std::pair{"rms_norm", 1e-5f}, {"head_norm", 1e-6f}}) {
    Tensor x = input(std::string(name) + ".x");
    Weight w = weight(std::string(name) + ".w");
    backward(rms_norm(c_, x, w, epsilon), name);
    expect_close(x.grad, std::string(name) + ".dx");
    expect_close(w.grad, std::string(name) + ".dw");
  }
}

TEST_F(OpsTest, Embed) {
  Weight table = weight("embed.table");
  const int32_t ids[] = {3, 0, 10, 3, 7};
  backward(embed(c_, table, ids), "embed");
  expect_close(table.grad, "embed.dtable");
}

TEST_F(OpsTest, Rotate) {
  float inverse[8];
  for (int i = 0; i < 8; ++i) inverse[i] = static_cast<float>(std::pow(10000.0, -2.0 * i / 16));
  const int32_t positions[] = {0, 3, 6, 9, 12, 15};
  for (auto [name, layout] : {std::pair{"rope_pairs", RopeLayout::kPairs}, {"rope_halves", RopeLayout::kHalves}}) {
    Tensor x = input(std::string(name) + ".x");
    backward(rotate(c_, x, 16, {layout, 16, inverse, 1}, positions), name);
    expect_close(x.grad, std::string(name) + ".dx");
  }
}

TEST_F(OpsTest, AttendDense) {
  Tensor q = input("attend.q"), k = input("attend.k"), v = input("attend.v");
  backward(attend_dense(c_, q, k, v, 16, 70, 0.25f), "attend");
  expect_close(q.grad, "attend.dq");
  expect_close(k.grad, "attend.dk");
  expect_close(v.grad, "attend.dv");
}

TEST_F(OpsTest, AttendCachedIsTheSameAttentionOnEveryTarget) {
  Context c{team_, arena_};
  const Target before = active_target();
  for (Target target : available_targets()) {
    force_target(target);
    for (auto [type, most] : {std::pair{CacheType::kF32, 2e-6f}, {CacheType::kF16, 1e-3f}, {CacheType::kQ8, 1e-2f}, {CacheType::kQ4, 0.2f}}) {
      Tensor q = input("attend.q"), k = input("attend.k"), v = input("attend.v");
      KvCache cache(1, 2, 16, type, 8);
      std::vector<int32_t> pages[2] = {{cache.take(), cache.take()}, {cache.take(), cache.take()}};
      std::vector<RowPlace> places;
      for (int s = 0; s < 2; ++s)
        for (int i = 0; i < 70; ++i) places.push_back({pages[s].data(), i});
      Tensor y = attend_cached(c, q, k, v, 16, cache, 0, places, 0.25f);
      expect_close(y.data, "attend.y", most);
    }
  }
  force_target(before);
}

TEST_F(OpsTest, AWindowHidesWhatLiesBeforeItInEveryChunking) {
  Context c{team_, arena_};
  Tensor q = input("attend.q"), k = input("attend.k"), v = input("attend.v");
  const int64_t length = 140;  // the two sequences as one: three pages
  for (int64_t window : {1, 5, 63, 64, 65, 100, 139, 140, 500}) {
    std::vector<float> first;
    for (int64_t chunk : {1, 7, 140}) {
      KvCache cache(1, 2, 16, CacheType::kF32, 4);
      std::vector<int32_t> pages = {cache.take(), cache.take(), cache.take()};
      std::vector<float> all;
      for (int64_t at = 0; at < length; at += chunk) {
        const int64_t n = std::min(chunk, length - at);
        std::vector<RowPlace> places;
        for (int64_t i = 0; i < n; ++i) places.push_back({pages.data(), static_cast<int32_t>(at + i)});
        auto rows = [&](Tensor t) { return Tensor{t.row(at), nullptr, n, t.cols}; };
        Tensor y = attend_cached(c, rows(q), rows(k), rows(v), 16, cache, 0, places, 0.25f, window);
        all.insert(all.end(), y.data, y.data + y.size());
      }
      if (first.empty()) first = all;
      EXPECT_EQ(std::memcmp(all.data(), first.data(), all.size() * 4), 0) << "window " << window << " chunk " << chunk;
    }
    for (int64_t r : {0, 4, 5, 63, 64, 65, 127, 128, 133, 139}) {  // a row is the last one of its own window
      const int64_t seen = std::min(window, r + 1);
      auto part = [&](Tensor t) { return Tensor{t.row(r + 1 - seen), nullptr, seen, t.cols}; };
      Tensor alone = attend_dense(c, part(q), part(k), part(v), 16, seen, 0.25f);
      for (int64_t i = 0; i < alone.cols; ++i)
        ASSERT_NEAR(alone.row(seen - 1)[i], first[static_cast<size_t>(r * alone.cols + i)], 2e-6f) << "window " << window << " row " << r;
    }
  }
}

// Long enough for several splits: whole, one row at a time (splits shared out to the threads) and in odd chunks the bits are the same,
// and they are what softmax says, in doubles.
TEST(AttendCached, SplitsMakeNoDifference) {
  constexpr int64_t n = 1150, d = 16, groups = 2, share = 2, heads = groups * share;
  Random random(12);
  auto normals = [&](int64_t count) {
    std::vector<float> x(static_cast<size_t>(count));
    for (float& v : x) v = static_cast<float>(random.normal());
    return x;
  };
  std::vector<float> q = normals(n * heads * d), k = normals(n * groups * d), v = normals(n * groups * d);
  const Target before = active_target();
  for (Target target : available_targets()) {
    force_target(target);
    // Against f64: what the type rounds off comes through as measured (q8 4e-3, q4 7e-2), the order of sums as nothing at all.
    for (auto [type, window, most] : {std::tuple<CacheType, int64_t, double>{CacheType::kF32, 0, 2e-5}, {CacheType::kF32, 700, 2e-5}, {CacheType::kQ8, 700, 1e-2}, {CacheType::kQ4, 0, 0.2}}) {
      if (target == Target::kGeneric && type != CacheType::kF32) continue;  // seconds; the test below has it
      std::vector<float> whole;
      for (auto [chunk, threads] : {std::pair<int64_t, int>{n, 1}, {1, 3}, {37, 2}, {3, 8}}) {
        ThreadTeam team(threads);
        Arena arena;
        Context c{team, arena};
        KvCache cache(1, groups, d, type, n / 64 + 1);
        std::vector<int32_t> pages;
        for (int64_t i = 0; i < n; i += 64) pages.push_back(cache.take());
        std::vector<float> got;
        // Few rows at a time only where they see more than one split; what is before goes in at once.
        for (int64_t at = 0; at < n;) {
          const int64_t rows = at < 1000 ? std::min<int64_t>(std::max<int64_t>(chunk, 1000), n) : std::min(chunk, n - at);
          std::vector<RowPlace> places;
          for (int64_t i = 0; i < rows; ++i) places.push_back({pages.data(), static_cast<int32_t>(at + i)});
          auto slice = [&](std::vector<float>& x, int64_t width) { return Tensor{x.data() + at * width, nullptr, rows, width}; };
          Tensor y = attend_cached(c, slice(q, heads * d), slice(k, groups * d), slice(v, groups * d), d, cache, 0, places, 0.2f, window);
          got.insert(got.end(), y.data, y.data + y.size());
          at += rows;
        }
        if (whole.empty()) whole = got;
        EXPECT_EQ(whole, got) << target_name(target) << " chunks of " << chunk << ", window " << window;
      }
      for (int64_t r : {0, 63, 511, 512, 1023, 1149})
        for (int64_t h : {0, 3}) {
          const int64_t from = window ? std::max<int64_t>(0, r + 1 - window) : 0;
          std::vector<double> score, want(d);
          double total = 0;
          for (int64_t p = from; p <= r; ++p) {
            double sum = 0;
            for (int64_t i = 0; i < d; ++i) sum += static_cast<double>(q[static_cast<size_t>((r * heads + h) * d + i)]) * static_cast<double>(k[static_cast<size_t>((p * groups + h / share) * d + i)]);
            score.push_back(std::exp(sum * 0.2));
            total += score.back();
          }
          for (int64_t p = from; p <= r; ++p)
            for (int64_t i = 0; i < d; ++i) want[static_cast<size_t>(i)] += score[static_cast<size_t>(p - from)] / total * static_cast<double>(v[static_cast<size_t>((p * groups + h / share) * d + i)]);
          for (int64_t i = 0; i < d; ++i) EXPECT_NEAR(whole[static_cast<size_t>((r * heads + h) * d + i)], want[static_cast<size_t>(i)], most) << r;
        }
    }
  }
  force_target(before);
}

// Values are rounded to a code each: by half a step, which is 1/254 of a part's largest (q8) or 1/30 of its range (q4) at most. With the
// same key everywhere the weights are equal, so no more than that, and the f16 of scale and least value, may come through.
TEST(AttendCached, CodesRoundByHalfAStepForEveryHeadSize) {
  Random random(5);
  ThreadTeam team(1);
  Arena arena;
  Context c{team, arena};
  const Target before = active_target();
  for (Target target : available_targets()) {
    force_target(target);
    for (int64_t d : {16, 32, 64, 80, 96, 128, 256})
      for (auto [type, step] : {std::pair{CacheType::kQ8, 1.0 / 254 + 1e-3}, {CacheType::kQ4, 1.0 / 30 + 2e-3}}) {
        constexpr int64_t n = 67;
        KvCache cache(1, 1, d, type, 2);
        EXPECT_LT(cache.page_bytes(), KvCache(1, 1, d, CacheType::kF16, 2).page_bytes() * (type == CacheType::kQ8 ? 0.57 : 0.38));
        std::vector<int32_t> pages = {cache.take(), cache.take()};
        std::vector<float> q(static_cast<size_t>(n * d), 0.0f), k(q.size()), v(q.size());
        for (float& x : v) x = static_cast<float>(random.normal() * 3 + 1);
        std::vector<RowPlace> places;
        for (int32_t i = 0; i < n; ++i) places.push_back({pages.data(), i});
        Tensor y = attend_cached(c, {q.data(), nullptr, n, d}, {k.data(), nullptr, n, d}, {v.data(), nullptr, n, d}, d, cache, 0, places, 1);
        std::vector<double> sum(static_cast<size_t>(d)), slack(static_cast<size_t>(d));
        for (int64_t r = 0; r < n; ++r) {
          const int64_t part = d % 32 ? 16 : 32;
          for (int64_t first = 0; first < d; first += part) {
            auto [low, high] = std::minmax_element(&v[static_cast<size_t>(r * d + first)], &v[static_cast<size_t>(r * d + first)] + part);
            const double range = type == CacheType::kQ8 ? std::max(-*low, *high) : *high - *low;
            for (int64_t i = first; i < first + part; ++i) {
              sum[static_cast<size_t>(i)] += static_cast<double>(v[static_cast<size_t>(r * d + i)]);
              slack[static_cast<size_t>(i)] += range * step;
              ASSERT_NEAR(y.row(r)[i], sum[static_cast<size_t>(i)] / static_cast<double>(r + 1), slack[static_cast<size_t>(i)] / static_cast<double>(r + 1)) << d << " row " << r;
            }
          }
        }
      }
  }
  force_target(before);
}

TEST_F(OpsTest, HeadLoss) {
  Tensor x = input("head.x");
  Weight w = weight("head.w");
  auto* stored = reinterpret_cast<const float*>(golden("head.targets").data);
  std::vector<int32_t> targets(stored, stored + x.rows);
  int64_t count = 0;
  double sum = head_loss(c_, x, w, targets, 1, &count);
  EXPECT_EQ(count, 8);
  auto mean = static_cast<float>(sum / static_cast<double>(count));
  expect_close(&mean, "head.loss");
  expect_close(x.grad, "head.dx");
  expect_close(w.grad, "head.dw");
}

}  // namespace
}  // namespace ingot
