// LoRA (Hu 2021) and DoRA (Liu 2024) at run time: low-rank products beside the base model's, applied without changing it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/matmul.h"
#include "ops/context.h"
#include "ops/ops.h"
#include "ops/weight.h"

namespace ingot {

class Gguf;
class Llama;
class Safetensors;

// The last two stand beside the layers, as of layer 0. The embedding's part is that of its table, [vocab, width].
enum class LoraTarget { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown, kEmbedding, kHead };
inline constexpr int kLoraTargets = 7;  // of a layer
const Weight& matrix_of(const Llama& model, int64_t layer, LoraTarget target);

// For one matrix [out, in] of one layer: y becomes factor * (W x) + up^T (scale * down x) (+ bias). In the adapter's memory.
struct LoraPart {
  int64_t rank = 0, in = 0, out = 0;
  bool f16 = false;               // down and up; what a file has as F16 stays so. Else f32
  const void* down = nullptr;     // [rank, in]
  const void* up = nullptr;       // B transposed, times the factor, in blocks of columns as row_kernels.h has them
  float scale = 1;                // alpha / rank (or its root)
  const float* factor = nullptr;  // [out], DoRA's magnitudes over the norms of W + BA; null: 1

  int64_t up_size() const;
  void add_row(int64_t o, float* row) const;  // row [in] += row o of the product
};

// Immutable; any thread.
class LoraAdapter {
 public:
  ~LoraAdapter();

  // A folder as PEFT saves it (adapter_config.json, adapter_model.safetensors) or a GGUF file of type adapter. Throws Error (input)
  // naming the tensor or key that does not fit the base, or what is not supported.
  static std::shared_ptr<const LoraAdapter> open(const std::filesystem::path& path, const Llama& base);

  // PEFT's two files in memory. where: names them in messages.
  static std::shared_ptr<const LoraAdapter> read(std::string_view config_json, std::span<const std::byte> safetensors, const std::string& where, const Llama& base);

  const LoraPart* find(int64_t layer, LoraTarget target) const {  // null: the matrix stays as it is
    const LoraPart& found = place(layer, target);
    return found.rank ? &found : nullptr;
  }
  uint64_t serial() const { return serial_; }  // of this process, never 0 and never given twice
  int64_t bytes() const { return bytes_; }
  const std::string& name() const { return name_; }

 private:
  LoraAdapter();
  void read_peft(std::string_view config_json, const std::string& where, const Safetensors& file, const Llama& base);
  void read_gguf(const Gguf& file, const Llama& base);
  void set(const Llama& base, int64_t layer, LoraTarget target, std::vector<float> a, std::vector<float> b, int64_t rank, float scale,
           RopeLayout rows, std::vector<float> magnitude, bool f16, const std::string& where);
  const LoraPart& place(int64_t layer, LoraTarget target) const {
    return target < LoraTarget::kEmbedding ? layers_[static_cast<size_t>(layer)][static_cast<size_t>(target)] : beside_[target == LoraTarget::kHead];
  }
  LoraPart& part(int64_t layer, LoraTarget target) { return const_cast<LoraPart&>(place(layer, target)); }
  void gather();  // what set() was given, into one memory in the order of use
  struct Loose;
  std::string name_;
  uint64_t serial_;
  std::vector<Loose> loose_;
  std::shared_ptr<std::byte> memory_;
  int64_t bytes_ = 0;
  std::vector<std::array<LoraPart, kLoraTargets>> layers_;
  std::array<LoraPart, 2> beside_;  // embedding, head
};

// Rows [first, first + rows) of a batch are this adapter's.
struct AdapterRows {
  const LoraAdapter* adapter;
  int64_t first, rows;
};

// What adapt() is going to read for these matrices of a layer, for Context::upcoming; valid until this thread asks again.
std::span<const Upcoming> upcoming(std::span<const AdapterRows> adapters, int64_t layer, std::initializer_list<LoraTarget> targets);

// Adds to y = W x (+ bias) what each row's adapter has for this matrix: all adapters of the batch in one pass. A row's result depends on
// that row alone.
void adapt(const Context& c, std::span<const AdapterRows> adapters, int64_t layer, LoraTarget target, Tensor x, Tensor y, const Weight& bias = {});

struct MergedLora {
  std::map<ElementType, int64_t> matrices;  // that changed, by the type that they were written in
  double rounding = 0;                      // root mean square of what that type lost, as a share of that of the adapter's change
};

// Adds to the rows x of the embedding's table what each row's adapter has for its token.
void adapt_embedding(std::span<const AdapterRows> adapters, std::span<const int32_t> ids, Tensor x);

// The base with the adapter's products added in, as a GGUF file; a head that was the embedding's table becomes its own where the adapter
// changes one of them. Matrices that change are written in `type`; without one they keep theirs.
MergedLora merge_lora(const Gguf& file, const Llama& base, const LoraAdapter& adapter, const std::filesystem::path& out, std::optional<ElementType> type = {});

}  // namespace ingot
