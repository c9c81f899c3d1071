// Our dense products beside oneDNN's, in one run, in short blocks turn about, so that a busy neighbour hits both.
// OpenMP's idle threads spin for a while after each product and would take a core from ours (half our speed when timed turn about),
// so each block starts after a pause that lets the other side's threads fall asleep, then warms up for as long as it is timed,
// because threads just woken may share a core for some milliseconds.
// With one pinned thread a side (INGOT_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1) it repeats within 3 %; with two, a busy core ruins it.
// Not part of the build, since ingot needs no oneDNN. After `ninja -C build ingot`, from the top of the source tree:
//   g++ -O2 -std=c++20 -march=x86-64-v2 -Isrc bench/compare_onednn.cc $(find build/CMakeFiles/ingot_objects.dir/src/kernels \
//     build/CMakeFiles/ingot_objects.dir/src/tensor build/CMakeFiles/ingot_objects.dir/src/core -name '*.o') \
//     -ldnnl -lcrypto -lpthread -o build/compare_onednn && build/compare_onednn
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <oneapi/dnnl/dnnl.hpp>
#include <thread>
#include <vector>

#include "core/random.h"
#include "kernels/gemm.h"
#include "tensor/element_type.h"

using namespace ingot;

namespace {

template <class Body>
double seconds(const Body& body) {
  auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Three blocks of 50 ms for each, each after 50 ms of warm-up. Prints the medians, with the largest difference between their results relative to the largest value.
template <class Ours, class Theirs>
void compare(const char* name, int64_t m, int64_t n, int64_t k, const std::vector<float>& c, const std::vector<float>& d, const Ours& ours,
             const Theirs& theirs) {
  std::vector<double> a, b;
  auto block = [](auto& times, const auto& body) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    for (double spent = 0; spent < 0.05;) spent += seconds(body);
    for (double spent = 0; spent < 0.05; spent += times.back()) times.push_back(seconds(body));
  };
  for (int turn = 0; turn < 3; ++turn) block(a, ours), block(b, theirs);
  std::sort(a.begin(), a.end()), std::sort(b.begin(), b.end());
  double gap = 0, largest = 0;
  for (size_t i = 0; i < c.size(); ++i) {
    gap = std::max(gap, std::fabs(static_cast<double>(c[i]) - static_cast<double>(d[i])));
    largest = std::max(largest, std::fabs(static_cast<double>(d[i])));
  }
  double flop = 2e-9 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  std::printf("%-10s %5ld x %5ld x %5ld  ours %6.0f  oneDNN %6.0f GFLOP/s  ratio %.2f  difference %.1e\n", name, m, n, k, flop / a[a.size() / 2], flop / b[b.size() / 2],
              b[b.size() / 2] / a[a.size() / 2], gap / largest);
}

}  // namespace

int main() {
  ThreadTeam& team = default_team();
  const dnnl_version_t* v = dnnl_version();
  std::printf("oneDNN %d.%d.%d, %d threads, medians\n", v->major, v->minor, v->patch, team.size());
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  Random random(1);
  for (auto [m, n, k] : {std::array<int64_t, 3>{4096, 256, 256}, {4096, 1024, 256}, {4096, 256, 1024}, {4096, 768, 768}, {256, 1024, 4096}}) {
    size_t as = static_cast<size_t>(m * k), bs = static_cast<size_t>(k * n);
    std::vector<float> a(as), b(bs), c(static_cast<size_t>(m * n)), d(c.size());
    for (float& x : a) x = static_cast<float>(random.normal());
    for (float& x : b) x = static_cast<float>(random.normal());
    for (int form = 0; form < 4; ++form) {
      bool ta = form & 1, tb = form & 2;
      int64_t lda = ta ? m : k, ldb = tb ? k : n;
      static constexpr const char* names[] = {"f32 A B", "f32 A'B", "f32 A B'", "f32 A'B'"};
      compare(names[form], m, n, k, c, d,
              [&] {
                gemm_f32(ta ? Transpose::kYes : Transpose::kNo, tb ? Transpose::kYes : Transpose::kNo, m, n, k, a.data(), lda, b.data(), ldb,
                         c.data(), n, false, team);
              },
              [&] { dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a.data(), lda, b.data(), ldb, 0, d.data(), n); });
    }
    std::vector<uint16_t> a16, b16;
    for (float x : a) a16.push_back(bf16_of_f32(x));
    for (float x : b) b16.push_back(bf16_of_f32(x));
    using dt = dnnl::memory::data_type;
    using tag = dnnl::memory::format_tag;
    dnnl::memory::desc ad({m, k}, dt::bf16, tag::ab), bd({k, n}, dt::bf16, tag::ab), cd({m, n}, dt::f32, tag::ab);
    dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(ad, bd, cd), engine);
    dnnl::matmul product(pd);
    dnnl::memory am(ad, engine, a16.data()), bm(bd, engine, b16.data()), cm(cd, engine, d.data());
    compare("bf16 A B", m, n, k, c, d,
            [&] { gemm_bf16(Transpose::kNo, Transpose::kNo, m, n, k, a.data(), k, b.data(), n, c.data(), n, false, team); },
            [&] {
              product.execute(stream, {{DNNL_ARG_SRC, am}, {DNNL_ARG_WEIGHTS, bm}, {DNNL_ARG_DST, cm}});
              stream.wait();
            });
  }
}
