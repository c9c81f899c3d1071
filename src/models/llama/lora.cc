#include "models/llama/lora.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/dequantize.h"
#include "models/llama/llama.h"

namespace ingot {

LoraAdapter::LoraAdapter() {
  static std::atomic<uint64_t> next = 0;
  serial_ = ++next;
}

int64_t LoraAdapter::bytes() const {
  size_t sum = 0;
  for (const auto& layer : layers_)
    for (const LoraPart& p : layer) sum += (p.down.capacity() + p.up.capacity() + p.factor.capacity()) * sizeof(float) + (p.down_f16.capacity() + p.up_f16.capacity()) * sizeof(uint16_t);
  return static_cast<int64_t>(sum);
}

namespace {

const Weight& matrix(const LlamaLayer& l, LoraTarget target) {
  switch (target) {
    case LoraTarget::kQuery: return l.query;
    case LoraTarget::kKey: return l.key;
    case LoraTarget::kValue: return l.value;
    case LoraTarget::kOutput: return l.output;
    case LoraTarget::kGate: return l.gate;
    case LoraTarget::kUp: return l.up;
    default: return l.down;
  }
}

void row_of(const Weight& w, int64_t r, float* out) {
  dequantize_row(w.type, static_cast<const char*>(w.data) + r * row_bytes(w.type, w.cols), out, w.cols);
}

}  // namespace

void LoraPart::project(const float* x, float* h) const {
  const auto& kernels = cpu::row_kernels();
  for (int64_t j = 0; j < rank; ++j) h[j] = down.empty() ? scale * kernels.dot_f16(x, down_f16.data() + j * in, in) : kernels.dot(x, down.data() + j * in, in);
}

void LoraPart::add(const float* h, float* y, int64_t from, int64_t to) const {
  const auto& kernels = cpu::row_kernels();
  for (int64_t j = 0; j < rank; ++j) {
    if (up.empty()) kernels.add_scaled_f16(y + from, h[j], up_f16.data() + j * out + from, to - from);
    else kernels.add_scaled(y + from, h[j], up.data() + j * out + from, to - from);
  }
}

void LoraPart::add_row(int64_t o, float* row) const {
  const auto& kernels = cpu::row_kernels();
  for (int64_t j = 0; j < rank; ++j) {
    const auto at = static_cast<size_t>(j * out + o);
    if (up.empty()) kernels.add_scaled_f16(row, scale * f32_of_f16(up_f16[at]), down_f16.data() + j * in, in);
    else kernels.add_scaled(row, up[at], down.data() + j * in, in);
  }
}

// a [rank, in], b [out, rank] as files have them. permute: b's rows are in the order of halves, the base's in that of pairs.
void LoraAdapter::set(const Llama& base, int64_t layer, LoraTarget target, std::vector<float> a, std::vector<float> b, int64_t rank, float scale,
                      bool permute, std::vector<float> magnitude, bool f16, const std::string& where) {
  const Weight& w = matrix(base.layer(layer), target);
  LoraPart& p = layers_[static_cast<size_t>(layer)][static_cast<size_t>(target)];
  p.rank = rank, p.in = w.cols, p.out = w.rows;
  f16 = f16 && magnitude.empty();  // DoRA's factor is taken into B
  if (f16) p.scale = std::exchange(scale, 1.0f);
  p.down = std::move(a);
  p.up.resize(static_cast<size_t>(rank * w.rows));
  const int64_t d = base.config().head_size;
  auto source = [&](int64_t row) { return permute ? row / d * d + row % 2 * (d / 2) + row % d / 2 : row; };
  for (int64_t o = 0; o < w.rows; ++o)
    for (int64_t j = 0; j < rank; ++j) p.up[static_cast<size_t>(j * w.rows + o)] = scale * b[static_cast<size_t>(source(o) * rank + j)];
  for (const auto* values : {&p.down, &p.up, &magnitude})
    for (float v : *values)
      if (!std::isfinite(v)) bad_input("a value is not finite", where, "train the adapter again");
  if (f16) {
    for (auto [from, to] : {std::pair{&p.down, &p.down_f16}, {&p.up, &p.up_f16}}) {
      to->resize(from->size());
      cpu::row_kernels().to_f16(from->data(), to->data(), static_cast<int64_t>(from->size()));
      std::vector<float>().swap(*from);  // "= {}" would keep the memory
    }
  }
  if (magnitude.empty()) return;
  p.factor.resize(static_cast<size_t>(w.rows));
  std::vector<float> row(static_cast<size_t>(w.cols));
  for (int64_t o = 0; o < w.rows; ++o) {  // the norm of a row of W + BA
    row_of(w, o, row.data());
    p.add_row(o, row.data());
    double norm = std::sqrt(static_cast<double>(cpu::row_kernels().dot(row.data(), row.data(), w.cols)));
    float factor = static_cast<float>(magnitude[static_cast<size_t>(source(o))] / std::max(norm, 1e-30));
    p.factor[static_cast<size_t>(o)] = factor;
    for (int64_t j = 0; j < rank; ++j) p.up[static_cast<size_t>(j * w.rows + o)] *= factor;
  }
}

namespace {

// Columns [from, to) of one row.
void adapt_row(const LoraPart& p, const float* h, float* y, const float* bias, int64_t from, int64_t to) {
  if (!p.factor.empty())
    for (int64_t o = from; o < to; ++o) {
      float b = bias ? bias[o] : 0;
      y[o] = (y[o] - b) * p.factor[static_cast<size_t>(o)] + b;
    }
  p.add(h, y, from, to);
}

}  // namespace

void adapt(const Context& c, std::span<const AdapterRows> adapters, int64_t layer, LoraTarget target, Tensor x, Tensor y, const Weight& bias) {
  struct Row {
    const LoraPart* part;
    int64_t row;
    float* h;
  };
  thread_local std::vector<Row> rows;
  rows.clear();
  int64_t work = 0;
  auto mark = c.arena.mark();
  for (const AdapterRows& group : adapters)
    if (const LoraPart* part = group.adapter->find(layer, target)) {
      float* h = c.arena.floats(group.rows * part->rank);
      for (int64_t r = 0; r < group.rows; ++r) rows.push_back({part, group.first + r, h + r * part->rank});
      work += group.rows * part->rank * (part->in + part->out);
    }
  if (rows.empty()) return;
  const float* b = bias ? bias.f32() : nullptr;
  auto down = [&](const Row& r) { r.part->project(x.row(r.row), r.h); };
  const auto& list = rows;
  // Waking the team costs as much as some 50,000 multiplications; few rows are split by columns, many by rows.
  if (work < 50000 || c.team.size() == 1) {
    for (const Row& r : list) {
      down(r);
      adapt_row(*r.part, r.h, y.row(r.row), b, 0, r.part->out);
    }
  } else if (static_cast<int64_t>(list.size()) >= 2 * c.team.size()) {
    c.team.parallel_for(list.size(), 1, [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i) {
        down(list[i]);
        adapt_row(*list[i].part, list[i].h, y.row(list[i].row), b, 0, list[i].part->out);
      }
    });
  } else {
    int64_t most = 0;
    for (const Row& r : list) most = std::max(most, r.part->rank);
    float* room = c.arena.floats(c.team.size() * most);
    c.team.run([&](int part, int of) {
      float* h = room + part * most;
      for (Row r : list) {  // each thread computes the few products down for itself
        r.h = h;
        down(r);
        // Whole vectors of 16, so that an element is computed alike wherever the cut is.
        auto cut = [&](int64_t p) { return p == of ? r.part->out : r.part->out * p / of / 16 * 16; };
        adapt_row(*r.part, h, y.row(r.row), b, cut(part), cut(part + 1));
      }
    });
  }
  c.arena.release(mark);
}

void merge_lora(const Gguf& file, const Llama& base, const LoraAdapter& adapter, const std::filesystem::path& out) {
  GgufWriter writer;
  for (const auto& [key, value] : file.metadata()) writer.set(key, value);
  std::vector<std::pair<const Weight*, const LoraPart*>> changed;
  for (int64_t i = 0; i < base.config().layers; ++i)
    for (int t = 0; t < kLoraTargets; ++t)
      if (const LoraPart* part = adapter.find(i, static_cast<LoraTarget>(t))) changed.push_back({&matrix(base.layer(i), static_cast<LoraTarget>(t)), part});
  for (const GgufTensor& tensor : file.tensors()) {
    auto it = std::find_if(changed.begin(), changed.end(), [&](const auto& c) { return c.first->data == tensor.data; });
    if (it == changed.end()) {
      writer.add(tensor.name, tensor.shape, tensor.type, tensor.data);
      continue;
    }
    const auto& [w, p] = *it;
    if (!can_quantize(w->type) && w->type != ElementType::kF32)
      bad_input("matrices of type " + std::string(element_name(w->type)) + " cannot be written", tensor.name, "merge into the model as F16 or Q8_0, then quantise the result");
    std::vector<float> row(static_cast<size_t>(w->cols));
    const int64_t stride = row_bytes(w->type, w->cols);
    std::string bytes(static_cast<size_t>(w->rows * stride), '\0');
    for (int64_t o = 0; o < w->rows; ++o) {
      row_of(*w, o, row.data());
      if (!p->factor.empty())
        for (float& v : row) v *= p->factor[static_cast<size_t>(o)];
      p->add_row(o, row.data());
      if (w->type == ElementType::kF32) std::copy(row.begin(), row.end(), reinterpret_cast<float*>(bytes.data() + o * stride));
      else quantize_row(w->type, row.data(), bytes.data() + o * stride, w->cols);
    }
    writer.add(tensor.name, tensor.shape, tensor.type, std::move(bytes));
  }
  writer.write(out);
}

}  // namespace ingot
