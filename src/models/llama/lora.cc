#include "models/llama/lora.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "core/error.h"
#include "core/huge_memory.h"
#include "core/progress.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/dequantize.h"
#include "models/llama/llama.h"

namespace ingot {

const Weight& matrix_of(const Llama& model, int64_t layer, LoraTarget target) {
  if (target == LoraTarget::kEmbedding) return model.embedding();
  if (target == LoraTarget::kHead) return model.head();
  const LlamaLayer& l = model.layer(layer);
  const Weight* all[kLoraTargets] = {&l.query, &l.key, &l.value, &l.output, &l.gate, &l.up, &l.down};
  return *all[static_cast<size_t>(target)];
}

namespace {

int64_t up_index(int64_t rank, int64_t j, int64_t o) {  // of up's element [j, o]
  return (o / cpu::kLowRankColumns * rank + j) * cpu::kLowRankColumns + o % cpu::kLowRankColumns;
}

void row_of(const Weight& w, int64_t r, float* out) {
  dequantize_row(w.type, static_cast<const char*>(w.data) + r * row_bytes(w.type, w.cols), out, w.cols);
}

}  // namespace

int64_t LoraPart::up_size() const { return (out + cpu::kLowRankColumns - 1) / cpu::kLowRankColumns * cpu::kLowRankColumns * rank; }

void LoraPart::add_row(int64_t o, float* row) const {
  const auto& kernels = cpu::row_kernels();
  std::vector<float> wide(static_cast<size_t>(f16 ? in : 0));
  for (int64_t j = 0; j < rank; ++j) {
    const int64_t at = up_index(rank, j, o);
    if (!f16) {
      kernels.add_scaled(row, scale * static_cast<const float*>(up)[at], static_cast<const float*>(down) + j * in, in);
      continue;
    }
    dequantize_row(ElementType::kF16, static_cast<const uint16_t*>(down) + j * in, wide.data(), in);
    kernels.add_scaled(row, scale * f32_of_f16(static_cast<const uint16_t*>(up)[at]), wide.data(), in);
  }
}

// A part's values while a file is read.
struct LoraAdapter::Loose {
  int64_t layer;
  LoraTarget target;
  std::vector<float> down, up, factor;
};

LoraAdapter::LoraAdapter() {
  static std::atomic<uint64_t> next = 0;
  serial_ = ++next;
}

LoraAdapter::~LoraAdapter() = default;

// a [rank, in], b [out, rank] as files have them. rows: how b has those of queries and keys, which the base may have otherwise.
void LoraAdapter::set(const Llama& base, int64_t layer, LoraTarget target, std::vector<float> a, std::vector<float> b, int64_t rank, float scale,
                      RopeLayout rows, std::vector<float> magnitude, bool f16, const std::string& where) {
  const Weight& w = matrix_of(base, layer, target);
  LoraPart& p = part(layer, target);
  if (!std::isfinite(scale)) bad_input("alpha over the rank is not finite", where, "train the adapter again");
  p.rank = rank, p.in = w.cols, p.out = w.rows, p.scale = scale;
  Loose& loose = loose_.emplace_back(Loose{layer, target, std::move(a), {}, {}});
  loose.up.resize(static_cast<size_t>(p.up_size()));
  const int64_t d = base.config().head_size;
  const bool turned = (target == LoraTarget::kQuery || target == LoraTarget::kKey) && rows != base.config().rope_layout;
  auto source = [&](int64_t row) {
    const int64_t in = row % d;
    return !turned ? row : row - in + (rows == RopeLayout::kHalves ? in % 2 * (d / 2) + in / 2 : in % (d / 2) * 2 + in / (d / 2));
  };
  for (int64_t o = 0; o < w.rows; ++o)
    for (int64_t j = 0; j < rank; ++j) loose.up[static_cast<size_t>(up_index(rank, j, o))] = b[static_cast<size_t>(source(o) * rank + j)];
  for (const auto* values : {&loose.down, &loose.up, &magnitude})
    for (float v : *values)
      if (!std::isfinite(v)) bad_input("a value is not finite", where, "train the adapter again");
  p.down = loose.down.data(), p.up = loose.up.data();
  p.f16 = f16 && magnitude.empty();  // DoRA's factor is taken into B: gather() makes them halves
  if (magnitude.empty()) return;
  loose.factor.resize(static_cast<size_t>(w.rows));
  std::vector<float> row(static_cast<size_t>(w.cols));
  for (int64_t o = 0; o < w.rows; ++o) {  // the norm of a row of W + BA
    row_of(w, o, row.data());
    p.add_row(o, row.data());
    double norm = std::sqrt(static_cast<double>(cpu::row_kernels().dot(row.data(), row.data(), w.cols)));
    float factor = static_cast<float>(magnitude[static_cast<size_t>(source(o))] / std::max(norm, 1e-30));
    loose.factor[static_cast<size_t>(o)] = factor;
    for (int64_t j = 0; j < rank; ++j) loose.up[static_cast<size_t>(up_index(rank, j, o))] *= factor;
  }
}

void LoraAdapter::gather() {
  std::sort(loose_.begin(), loose_.end(), [](const Loose& a, const Loose& b) { return std::pair(a.layer, a.target) < std::pair(b.layer, b.target); });
  auto lines = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  size_t size = 0;
  for (const Loose& l : loose_) {
    const size_t element = part(l.layer, l.target).f16 ? 2 : 4;
    size += lines(l.down.size() * element) + lines(l.up.size() * element) + lines(l.factor.size() * 4);
  }
  memory_ = huge_memory(size);
  if (!memory_) throw std::bad_alloc();
  bytes_ = static_cast<int64_t>(size);
  std::byte* at = memory_.get();
  auto place = [&](const std::vector<float>& values, bool f16) {
    std::byte* to = at;
    if (f16) cpu::row_kernels().to_f16(values.data(), reinterpret_cast<uint16_t*>(to), static_cast<int64_t>(values.size()));
    else std::memcpy(to, values.data(), values.size() * sizeof(float));
    at += lines(values.size() * (f16 ? 2 : 4));
    return to;
  };
  for (const Loose& l : loose_) {
    LoraPart& p = part(l.layer, l.target);
    p.down = place(l.down, p.f16);
    p.up = place(l.up, p.f16);
    if (!l.factor.empty()) p.factor = reinterpret_cast<const float*>(place(l.factor, false));
  }
  std::vector<Loose>().swap(loose_);
}

namespace {

// One row's way through its adapter.
struct AdaptedRow {
  const LoraPart* part;
  const float* x;
  float* y;
  int64_t ahead;  // bytes from this row's part to the next row's
};

void adapt_down(const AdaptedRow& r, float* h) {
  const auto& kernels = cpu::row_kernels();
  const LoraPart& p = *r.part;
  if (p.f16) kernels.low_rank_down_f16(r.x, static_cast<const uint16_t*>(p.down), p.rank, p.in, r.ahead, h);
  else kernels.low_rank_down(r.x, static_cast<const float*>(p.down), p.rank, p.in, r.ahead, h);
  for (int64_t j = 0; j < p.rank; ++j) h[j] *= p.scale;
}

// Columns [from, to); from is a multiple of a block's.
void adapt_up(const AdaptedRow& r, const float* h, const float* bias, int64_t from, int64_t to) {
  const auto& kernels = cpu::row_kernels();
  const LoraPart& p = *r.part;
  if (p.factor)
    for (int64_t o = from; o < to; ++o) {
      float b = bias ? bias[o] : 0;
      r.y[o] = (r.y[o] - b) * p.factor[o] + b;
    }
  if (p.f16) kernels.low_rank_up_f16(h, static_cast<const uint16_t*>(p.up) + from * p.rank, p.rank, to - from, r.ahead, r.y + from);
  else kernels.low_rank_up(h, static_cast<const float*>(p.up) + from * p.rank, p.rank, to - from, r.ahead, r.y + from);
}

}  // namespace

std::span<const Upcoming> upcoming(std::span<const AdapterRows> adapters, int64_t layer, std::initializer_list<LoraTarget> targets) {
  thread_local std::vector<Upcoming> list;
  list.clear();
  for (const AdapterRows& group : adapters)
    for (LoraTarget target : targets)
      if (const LoraPart* p = group.adapter->find(layer, target))
        list.push_back({static_cast<const std::byte*>(p->down), (p->rank * p->in + p->up_size()) * (p->f16 ? 2 : 4)});  // up follows down
  return list;
}

void adapt(const Context& c, std::span<const AdapterRows> adapters, int64_t layer, LoraTarget target, Tensor x, Tensor y, const Weight& bias) {
  thread_local std::vector<AdaptedRow> list;
  list.clear();
  int64_t work = 0, most = 0;
  for (const AdapterRows& group : adapters)
    if (const LoraPart* part = group.adapter->find(layer, target)) {
      for (int64_t r = group.first; r < group.first + group.rows; ++r) list.push_back({part, x.row(r), y.row(r), 0});
      work += group.rows * part->rank * (part->in + part->out);
      most = std::max(most, part->rank);
    }
  if (list.empty()) return;
  for (size_t i = 0; i + 1 < list.size(); ++i)
    list[i].ahead = static_cast<const std::byte*>(list[i + 1].part->down) - static_cast<const std::byte*>(list[i].part->down);
  const float* b = bias ? bias.f32() : nullptr;
  const auto mark = c.arena.mark();
  float* room = c.arena.floats(c.team.size() * most);
  const auto& rows = list;
  auto whole = [&](size_t from, size_t to, float* h) {
    for (size_t i = from; i < to; ++i) {
      adapt_down(rows[i], h);
      adapt_up(rows[i], h, b, 0, rows[i].part->out);
    }
  };
  // Waking the team costs as much as some 50,000 multiplications; few rows are split by columns, many by rows.
  if (work < 50000 || c.team.size() == 1) {
    whole(0, rows.size(), room);
  } else {
    const bool by_rows = rows.size() >= 2 * static_cast<size_t>(c.team.size());
    c.team.run([&](int part, int of) {
      float* h = room + part * most;
      if (by_rows) return whole(rows.size() * static_cast<size_t>(part) / static_cast<size_t>(of), rows.size() * static_cast<size_t>(part + 1) / static_cast<size_t>(of), h);
      for (const AdaptedRow& r : rows) {  // each thread computes the few products down for itself
        adapt_down(r, h);
        const int64_t out = r.part->out;
        auto cut = [&](int64_t p) { return p == of ? out : out * p / of / cpu::kLowRankColumns * cpu::kLowRankColumns; };
        adapt_up(r, h, b, cut(part), cut(part + 1));
      }
    });
  }
  c.arena.release(mark);
}

void adapt_embedding(std::span<const AdapterRows> adapters, std::span<const int32_t> ids, Tensor x) {
  for (const AdapterRows& group : adapters)
    if (const LoraPart* part = group.adapter->find(0, LoraTarget::kEmbedding))
      for (int64_t r = group.first; r < group.first + group.rows; ++r) part->add_row(ids[static_cast<size_t>(r)], x.row(r));
}

MergedLora merge_lora(const Gguf& file, const Llama& base, const LoraAdapter& adapter, const std::filesystem::path& out, std::optional<ElementType> type) {
  MergedLora done;
  double moved = 0, lost = 0;
  GgufWriter writer;
  writer.copy_metadata(file);
  std::vector<std::pair<const Weight*, const LoraPart*>> changed;
  const auto change = [&](int64_t layer, LoraTarget target) {
    if (const LoraPart* part = adapter.find(layer, target)) changed.push_back({&matrix_of(base, layer, target), part});
  };
  for (int64_t i = 0; i < base.config().layers; ++i)
    for (int t = 0; t < kLoraTargets; ++t) change(i, static_cast<LoraTarget>(t));
  change(0, LoraTarget::kEmbedding);
  const LoraPart* head = adapter.find(0, LoraTarget::kHead);
  const bool parted = base.config().tied && (head || adapter.find(0, LoraTarget::kEmbedding));
  if (!parted) change(0, LoraTarget::kHead);
  const auto write = [&](const GgufTensor& tensor, const std::string& name, const Weight* w, const LoraPart* p) {
    stop_if_interrupted("merge");
    if (!p) return writer.add(name, tensor.shape, tensor.type, tensor.data);
    const ElementType to = type.value_or(w->type);
    if (!can_quantize(to) && to != ElementType::kF32)
      bad_input("matrices of type " + std::string(element_name(to)) + " cannot be written", name, "choose another with --type, such as F16 or Q8_0, then quantise the result");
    if (w->cols % block_length(to))
      bad_input("its rows of " + std::to_string(w->cols) + " numbers do not fill the blocks of " + std::string(element_name(to)), name, "choose F16 with --type");
    std::vector<float> before(static_cast<size_t>(w->cols)), row, kept(before.size());
    const int64_t stride = row_bytes(to, w->cols);
    std::string bytes(static_cast<size_t>(w->rows * stride), '\0');
    for (int64_t o = 0; o < w->rows; ++o) {
      row_of(*w, o, before.data());
      row = before;
      if (p->factor)
        for (float& v : row) v *= p->factor[o];
      p->add_row(o, row.data());
      char* written = bytes.data() + o * stride;
      if (to == ElementType::kF32) std::memcpy(written, row.data(), static_cast<size_t>(stride));
      else quantize_row(to, row.data(), written, w->cols);
      dequantize_row(to, written, kept.data(), w->cols);
      for (size_t i = 0; i < row.size(); ++i) {
        moved += std::pow(static_cast<double>(row[i]) - before[i], 2);
        lost += std::pow(static_cast<double>(kept[i]) - row[i], 2);
      }
    }
    writer.add(name, tensor.shape, to, std::move(bytes));
    ++done.matrices[to];
  };
  for (const GgufTensor& tensor : file.tensors()) {
    auto it = std::find_if(changed.begin(), changed.end(), [&](const auto& c) { return c.first->data == tensor.data; });
    write(tensor, tensor.name, it == changed.end() ? nullptr : it->first, it == changed.end() ? nullptr : it->second);
    if (parted && tensor.data == base.head().data) write(tensor, "output.weight", &base.head(), head);
  }
  writer.write(out);
  done.rounding = moved > 0 ? std::sqrt(lost / moved) : 0;
  return done;
}

}  // namespace ingot
