// BERT (Devlin 2018) and RoBERTa (Liu 2019): learnt positions, attention over the whole sequence, norms after each block.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "models/hf_config.h"
#include "models/hf_weights.h"
#include "ops/context.h"
#include "ops/weight.h"

namespace ingot {

struct BertConfig {
  int64_t vocab = 0, width = 0, layers = 0, heads = 0, hidden = 0;
  int64_t positions = 0;       // rows of the table, those that are never used among them
  int64_t first_position = 0;  // RoBERTa begins after its padding id
  int64_t types = 0;           // token types; only the first is used here; 0: none
  float epsilon = 1e-12f;

  int64_t context() const { return positions - first_position; }  // tokens that a sequence may have
};

struct BertLayer {
  Weight query, query_bias, key, key_bias, value, value_bias, output, output_bias, attention_norm, attention_norm_bias;
  Weight up, up_bias, down, down_bias, norm, norm_bias;
};

// A weight of a layer with its bias, and their names before ".weight" and ".bias" in GGUF ("blk.0." before it) and in a folder
// ("encoder.layer.0." before it).
struct BertPart {
  Weight BertLayer::*weight;
  Weight BertLayer::*bias;
  const char *gguf, *folder;
  std::vector<int64_t> shape;  // one number: a norm
};
std::vector<BertPart> bert_parts(const BertConfig& config);

class Bert {
 public:
  // config.json and its weights. Throws Error (input) naming the key or tensor that is missing or misshapen.
  static std::shared_ptr<Bert> load(const HfConfig& config, std::shared_ptr<const Safetensors> weights);
  // The same from a GGUF file of the architecture "bert". RoBERTa and DistilBERT are that, too: the first without the positions that it
  // never uses, the second without token types.
  static std::shared_ptr<Bert> load(std::shared_ptr<const Gguf> file);

  // Sequences one after the other, lengths[i] tokens each -> [n, width], the last hidden states. A row depends on its own
  // sequence alone.
  Tensor hidden(const Context& c, std::span<const int32_t> ids, std::span<const int32_t> lengths) const;

  const BertConfig& config() const { return config_; }
  std::vector<Weight*> matrices();  // those of products
  // Stores them anew in another type, where their columns fill its blocks. Before they are interleaved.
  void quantise(ElementType type);
  std::string fingerprint() const;  // of all weights and how they are stored; reads them
  void release_pages() const;       // the stored weights leave memory until they are touched
  // Metadata and tensors as GGUF, every one in its own type, for sequences of at most `context` tokens.
  void write(GgufWriter& out, int64_t context) const;

 private:
  // Gives the weight of these names and this shape.
  using Take = std::function<Weight(const std::string& gguf, const std::string& folder, const std::vector<int64_t>& shape)>;
  void fill(const Take& take);
  BertConfig config_;
  Weight words_, positions_, types_, norm_, norm_bias_;
  std::vector<BertLayer> layers_;
  std::shared_ptr<const Safetensors> files_;  // of the two, the one that it came from
  std::shared_ptr<const Gguf> gguf_;
  std::vector<std::shared_ptr<float[]>> owned_;
  std::vector<std::shared_ptr<std::byte[]>> quantised_;
  std::string stored_;  // the type's name, once quantised
};

// True for what Bert::load takes, by its model_type or its architecture.
bool is_bert(const HfConfig& config);
inline constexpr std::string_view kBertArchitecture = "bert";

}  // namespace ingot
