#include "train/prune.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "core/error.h"
#include "kernels/dequantize.h"

namespace ingot {
namespace {

std::vector<float> values_of(const Weight& w) {
  std::vector<float> values(static_cast<size_t>(w.size()));
  for (int64_t r = 0; r < w.rows; ++r)
    dequantize_row(w.type, static_cast<const char*>(w.data) + r * row_bytes(w.type, w.cols), values.data() + r * w.cols, w.cols);
  return values;
}

std::vector<double> column_norms(const Weight& w) {
  const auto values = values_of(w);
  std::vector<double> norms(static_cast<size_t>(w.cols));
  for (int64_t r = 0; r < w.rows; ++r)
    for (int64_t j = 0; j < w.cols; ++j) norms[static_cast<size_t>(j)] += static_cast<double>(values[static_cast<size_t>(r * w.cols + j)]) * values[static_cast<size_t>(r * w.cols + j)];
  for (double& norm : norms) norm = std::sqrt(norm);
  return norms;
}

// Adds the mean size of each column of x, times `by` where given.
void add_sizes(const Tensor& x, std::vector<double>& to, const std::vector<double>& by = {}) {
  for (int64_t j = 0; j < x.cols; ++j) {
    double sum = 0;
    for (int64_t r = 0; r < x.rows; ++r) sum += std::abs(x.row(r)[j]);
    to[static_cast<size_t>(j)] += sum / static_cast<double>(x.rows) * (by.empty() ? 1 : by[static_cast<size_t>(j)]);
  }
}

double mean_cosine(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t r = 0; r < a.rows; ++r) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t j = 0; j < a.cols; ++j) {
      const double x = a.row(r)[j], y = b.row(r)[j];
      ab += x * y, aa += x * x, bb += y * y;
    }
    sum += ab / std::sqrt(std::max(aa * bb, 1e-30));
  }
  return sum / static_cast<double>(a.rows);
}

// The `count` most important of a list, ascending.
std::vector<int64_t> keep(const std::vector<double>& importance, int64_t count) {
  std::vector<int64_t> order(importance.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return importance[static_cast<size_t>(a)] > importance[static_cast<size_t>(b)]; });
  order.resize(static_cast<size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

std::vector<int64_t> all_of(int64_t count) {
  std::vector<int64_t> list(static_cast<size_t>(count));
  std::iota(list.begin(), list.end(), int64_t{0});
  return list;
}

// Heads or groups to the rows that they are.
std::vector<int64_t> rows_of(const std::vector<int64_t>& parts, int64_t each) {
  std::vector<int64_t> rows;
  for (int64_t part : parts)
    for (int64_t i = 0; i < each; ++i) rows.push_back(part * each + i);
  return rows;
}

void copy_part(const Weight& from, const Weight& to, const std::vector<int64_t>& rows, const std::vector<int64_t>& cols) {
  if (to.rows != static_cast<int64_t>(rows.size()) || to.cols != static_cast<int64_t>(cols.size())) throw Error(ErrorKind::internal, "a pruned matrix has another shape", to.name, "report this");
  std::vector<float> row(static_cast<size_t>(from.cols));
  auto* out = const_cast<float*>(to.f32());
  for (size_t r = 0; r < rows.size(); ++r) {
    dequantize_row(from.type, static_cast<const char*>(from.data) + rows[r] * row_bytes(from.type, from.cols), row.data(), from.cols);
    for (size_t j = 0; j < cols.size(); ++j) *out++ = row[static_cast<size_t>(cols[j])];
  }
}

}  // namespace

UnitImportance measure_importance(const Llama& model, std::span<const TuningSample> samples, ThreadTeam& team) {
  const LlamaConfig& m = model.config();
  UnitImportance out;
  out.layer.assign(static_cast<size_t>(m.layers), 0);
  out.group.assign(static_cast<size_t>(m.layers), std::vector<double>(static_cast<size_t>(m.groups)));
  out.channel.assign(static_cast<size_t>(m.layers), std::vector<double>(static_cast<size_t>(m.hidden)));
  out.width.assign(static_cast<size_t>(m.width), 0);
  std::vector<std::vector<double>> output_norms, down_norms;
  for (const LlamaLayer& layer : model.layers()) {
    output_norms.push_back(column_norms(layer.output));
    down_norms.push_back(column_norms(layer.down));
  }
  Arena arena;
  Context c{team, arena};
  if (m.block_norms || m.embedding_scale != 1 || m.window > 0)
    bad_input("pruning does not know the parts of a model of the family " + m.architecture, "teacher", "choose a Llama or Qwen");
  const float scale = m.query_scale();
  std::map<std::string, const Weight*> named;
  for (const Weight* w : const_cast<Llama&>(model).weights()) named[w->name] = w;
  for (const TuningSample& sample : samples) {
    auto mark = arena.mark();
    std::vector<int32_t> positions(sample.ids.size());
    std::iota(positions.begin(), positions.end(), 0);
    Tensor x = embed(c, *named.at("token_embd.weight"), sample.ids);
    for (size_t i = 0; i < model.layers().size(); ++i) {
      const LlamaLayer& l = model.layers()[i];
      const Rope rope = model.rope_of(static_cast<int64_t>(i));
      Tensor n = rms_norm(c, x, l.attention_norm, m.epsilon);
      add_sizes(n, out.width);
      Tensor q = linear(c, n, l.query, l.query_bias), k = linear(c, n, l.key, l.key_bias), v = linear(c, n, l.value, l.value_bias);
      if (l.query_norm) q = rms_norm(c, q, l.query_norm, m.epsilon);
      if (l.key_norm) k = rms_norm(c, k, l.key_norm, m.epsilon);
      q = rotate(c, q, m.head_size, rope, positions);
      k = rotate(c, k, m.head_size, rope, positions);
      Tensor a = attend_dense(c, q, k, v, m.head_size, q.rows, scale);
      std::vector<double> sizes(static_cast<size_t>(a.cols));
      add_sizes(a, sizes, output_norms[i]);
      const size_t each = static_cast<size_t>(a.cols / m.groups);
      for (size_t j = 0; j < sizes.size(); ++j) out.group[i][j / each] += sizes[j];
      Tensor middle = add(c, x, linear(c, a, l.output, l.output_bias));
      n = rms_norm(c, middle, l.feed_norm, m.epsilon);
      add_sizes(n, out.width);
      Tensor gate = linear(c, n, l.gate), up = linear(c, n, l.up);
      Tensor h = m.activation == Activation::kSilu ? swiglu(c, gate, up) : geglu(c, gate, up);
      add_sizes(h, out.channel[i], down_norms[i]);
      Tensor next = add(c, middle, linear(c, h, l.down));
      out.layer[i] += 1 - mean_cosine(x, next);
      x = next;
    }
    arena.release(mark);
  }
  return out;
}

std::shared_ptr<Llama> prune(const Llama& teacher, const UnitImportance& importance, const LlamaConfig& student, std::span<const int32_t> tokens) {
  const LlamaConfig& t = teacher.config();
  if (teacher.file() && (teacher.file()->text(t.architecture + ".rope.scaling.type", "none") != "none" || teacher.file()->find("rope_freqs.weight")))
    bad_input("the teacher scales its rotary frequencies, which a pruned student would lose", teacher.file()->name(), "choose a teacher without rotary scaling");
  auto model = Llama::random(student, 1);
  std::vector<double> layers = importance.layer;
  if (student.layers < t.layers) layers.front() = INFINITY;
  if (student.layers < t.layers && student.layers > 1) layers.back() = INFINITY;
  const auto kept_layers = keep(layers, student.layers), width = keep(importance.width, student.width);
  std::vector<int64_t> vocab = all_of(student.vocab);
  if (!tokens.empty()) vocab.assign(tokens.begin(), tokens.end());
  std::map<std::string, const Weight*> from;
  for (const Weight* w : const_cast<Llama&>(teacher).weights()) from[w->name] = w;
  const std::vector<int64_t> one{0};
  for (Weight* w : model->weights()) {
    if (w->name == "token_embd.weight" || w->name == "output.weight") {
      copy_part(*from.at(w->name), *w, vocab, width);
      continue;
    }
    if (w->name == "output_norm.weight") {
      copy_part(*from.at(w->name), *w, one, width);
      continue;
    }
    const size_t dot = w->name.find('.', 4);
    const auto layer = static_cast<size_t>(kept_layers[static_cast<size_t>(std::stoll(w->name.substr(4, dot - 4)))]);
    const std::string part = w->name.substr(dot + 1);
    const Weight& source = *from.at("blk." + std::to_string(layer) + "." + part);
    const auto groups = keep(importance.group[layer], student.groups), channels = keep(importance.channel[layer], student.hidden);
    const auto kv = rows_of(groups, t.head_size), q = rows_of(groups, t.head_size * (t.heads / t.groups));
    if (part == "attn_q.weight") copy_part(source, *w, q, width);
    else if (part == "attn_k.weight" || part == "attn_v.weight") copy_part(source, *w, kv, width);
    else if (part == "attn_q.bias") copy_part(source, *w, one, q);
    else if (part == "attn_k.bias" || part == "attn_v.bias") copy_part(source, *w, one, kv);
    else if (part == "attn_output.bias") copy_part(source, *w, one, width);
    else if (part == "attn_output.weight") copy_part(source, *w, width, q);
    else if (part == "ffn_gate.weight" || part == "ffn_up.weight") copy_part(source, *w, channels, width);
    else if (part == "ffn_down.weight") copy_part(source, *w, width, channels);
    else if (part == "attn_norm.weight" || part == "ffn_norm.weight") copy_part(source, *w, one, width);
    else if (part == "attn_q_norm.weight" || part == "attn_k_norm.weight") copy_part(source, *w, one, all_of(t.head_size));
    else bad_input("the teacher has a part that pruning does not know", source.name, "choose a Llama, Qwen 2 or Qwen 3");
  }
  return model;
}

}  // namespace ingot
