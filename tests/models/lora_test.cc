// Adapters against PEFT (tools/make_lora_goldens.py), and what merging makes of bases of every form.
#include "models/llama/lora.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "formats/safetensors.h"
#include "formats/safetensors_writer.h"
#include "kernels/dequantize.h"
#include "kernels/target.h"
#include "models/hf_config.h"
#include "models/llama/llama.h"
#include "runtime/model_gguf.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

constexpr std::pair<const char*, const char*> kAdapted[] = {{"self_attn.q_proj", "attn_q"}, {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"}, {"self_attn.o_proj", "attn_output"},
                                                            {"mlp.gate_proj", "ffn_gate"}, {"mlp.up_proj", "ffn_up"}, {"mlp.down_proj", "ffn_down"}};

class LoraTest : public testing::Test {
 protected:
  static constexpr int kTokens = 24, kVocab = 64;
  const std::string data_ = std::string(INGOT_TEST_DATA) + "/models/data/";
  std::shared_ptr<const Gguf> file_ = Gguf::open(data_ + "llama_tiny.gguf");
  std::shared_ptr<Llama> model_ = Llama::load(file_);
  std::shared_ptr<const Safetensors> goldens_ = Safetensors::open(data_ + "lora/logits.safetensors");
  ThreadTeam team_{2};
  Arena arena_;
  std::vector<int32_t> ids_;

  void SetUp() override {
    const auto* all = reinterpret_cast<const float*>(file_->find("golden.ids")->data);
    for (int i = 0; i < kTokens; ++i) ids_.push_back(static_cast<int32_t>(all[i]));
  }
  std::shared_ptr<const LoraAdapter> open(const char* name) const { return LoraAdapter::open(data_ + "lora/" + name, *model_); }
  fs::path scratch(const std::string& name) const { return fs::path(testing::TempDir()) / ("ingot_lora_" + std::to_string(::getpid()) + "_" + name); }

  // An adapter of rank 4 for every matrix of the base, as PEFT's tensors; large enough to matter.
  static std::string peft_tensors(const Llama& base, bool dora) {
    Random random(3);
    SafetensorsWriter out;
    auto values = [&](int64_t count, double deviation) {
      std::vector<float> v(static_cast<size_t>(count));
      for (float& x : v) x = static_cast<float>(random.normal() * deviation);
      return v;
    };
    for (int64_t i = 0; i < base.config().layers; ++i) {
      const LlamaLayer& l = base.layer(i);
      const Weight* all[] = {&l.query, &l.key, &l.value, &l.output, &l.gate, &l.up, &l.down};
      for (int t = 0; t < kLoraTargets; ++t) {
        const std::string at = "base_model.model.model.layers." + std::to_string(i) + "." + kAdapted[t].first + ".";
        out.add(at + "lora_A.weight", {4, all[t]->cols}, values(4 * all[t]->cols, 0.2));
        out.add(at + "lora_B.weight", {all[t]->rows, 4}, values(all[t]->rows * 4, 0.1));
        std::vector<float> magnitude = values(all[t]->rows, 0.1);
        for (float& m : magnitude) m = 0.3f + std::abs(m);
        if (dora) out.add(at + "lora_magnitude_vector", {all[t]->rows}, magnitude);
      }
    }
    return out.bytes();
  }
  static std::shared_ptr<const LoraAdapter> adapter_of(const std::string& tensors, bool dora, const Llama& base) {
    return LoraAdapter::read(dora ? R"({"r":4,"lora_alpha":8,"use_dora":true})" : R"({"r":4,"lora_alpha":8})", std::as_bytes(std::span(tensors)), "test", base);
  }
  // PEFT's tensors as llama.cpp's converter writes them for a llama: rows of q and k in the order of pairs.
  static void write_gguf_adapter(const Safetensors& peft, int64_t layers, int64_t head_size, const fs::path& path) {
    GgufWriter out;
    out.set("general.type", GgufValue::text("adapter"));
    out.set("general.architecture", GgufValue::text("llama"));
    out.set("adapter.type", GgufValue::text("lora"));
    out.set("adapter.lora.alpha", GgufValue::f32(8));
    for (int64_t layer = 0; layer < layers; ++layer)
      for (auto [from, to] : kAdapted)
        for (const char* part : {"A", "B"}) {
          const auto* t = peft.find("base_model.model.model.layers." + std::to_string(layer) + "." + from + ".lora_" + part + ".weight");
          ASSERT_NE(t, nullptr);
          auto values = peft.floats(t->name, t->shape);
          std::string key = std::string("blk.") + std::to_string(layer) + "." + to + ".weight.lora_" + (*part == 'A' ? "a" : "b");
          if (*part == 'B' && (std::string(to) == "attn_q" || std::string(to) == "attn_k")) {
            auto halves = values;
            const int64_t d = head_size;
            for (int64_t r = 0; r < t->shape[0]; ++r)
              for (int64_t j = 0; j < 4; ++j)
                values[static_cast<size_t>((r / d * d + r % (d / 2) * 2 + r % d / (d / 2)) * 4 + j)] = halves[static_cast<size_t>(r * 4 + j)];
          }
          out.add(key, t->shape, ElementType::kF32, std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4));
        }
    out.write(path);
  }
  // A folder of tests/models/data/families, whose models have 48 tokens.
  std::shared_ptr<Llama> family(const std::string& name) {
    for (int32_t& id : ids_) id %= 48;
    return Llama::load(HfConfig::open(data_ + "families/" + name + "/config.json"), Safetensors::open(data_ + "families/" + name));
  }
  static std::shared_ptr<Llama> as_gguf(const Llama& model, ElementType type) {
    GgufWriter writer;
    model.write(writer, type, type);
    auto bytes = std::make_shared<std::string>(writer.bytes());
    return Llama::load(Gguf::parse(std::as_bytes(std::span(*bytes)), "written", bytes));
  }
  std::shared_ptr<Llama> merged(const Llama& base, const LoraAdapter& adapter) {
    const fs::path path = scratch("merged.gguf");
    merge_lora(*base.file(), base, adapter, path);
    auto model = Llama::load(Gguf::open(path));
    fs::remove(path);  // the mapping stays
    return model;
  }
  // Every row that was merged is the base's with the adapter's in it, to `step` of its block's largest value; returns by how many steps the
  // adapter moved the one that it moved most.
  static double expect_merged(const Llama& base, const Llama& model, const LoraAdapter& adapter, ElementType type, double step) {
    double moved = 0;
    for (int64_t i = 0; i < base.config().layers; ++i) {
      const LlamaLayer &from = base.layer(i), &to = model.layer(i);
      const std::pair<const Weight*, const Weight*> all[] = {{&from.query, &to.query}, {&from.key, &to.key}, {&from.value, &to.value}, {&from.output, &to.output},
                                                             {&from.gate, &to.gate}, {&from.up, &to.up}, {&from.down, &to.down}};
      for (int t = 0; t < kLoraTargets; ++t) {
        const auto [w, m] = all[t];
        const LoraPart* part = adapter.find(i, static_cast<LoraTarget>(t));
        EXPECT_TRUE(part && w->type == type && m->type == type) << w->name;
        if (!part || m->type != type) return 0;
        const auto columns = static_cast<size_t>(w->cols), block = static_cast<size_t>(block_length(type));
        std::vector<float> before(columns), wanted(columns), got(columns);
        for (int64_t o = 0; o < w->rows; ++o) {
          dequantize_row(type, static_cast<const char*>(w->data) + o * row_bytes(type, w->cols), before.data(), w->cols);
          dequantize_row(type, static_cast<const char*>(m->data) + o * row_bytes(type, m->cols), got.data(), m->cols);
          for (size_t j = 0; j < columns; ++j) wanted[j] = before[j] * (part->factor ? part->factor[o] : 1);
          part->add_row(o, wanted.data());
          for (size_t at = 0; at < columns; at += block) {
            float top = 1e-20f;
            for (size_t j = at; j < at + block; ++j) top = std::max(top, std::abs(wanted[j]));
            for (size_t j = at; j < at + block; ++j) {
              EXPECT_LE(std::abs(got[j] - wanted[j]), top * step * 1.001) << w->name << " row " << o << " at " << j;
              moved = std::max(moved, std::abs(wanted[j] - before[j]) / (top * step));
            }
          }
        }
      }
    }
    return moved;
  }
  std::vector<float> golden(const char* name) const { return goldens_->floats(name, std::vector<int64_t>{kTokens, kVocab}); }

  // Logits of the same text once for each adapter, all in one pass of `sequences` * 24 rows.
  std::vector<float> logits(const Llama& model, const std::vector<const LoraAdapter*>& sequences) {
    Context c{team_, arena_};
    KvCache cache = model.make_cache(64 * static_cast<int64_t>(sequences.size()), CacheType::kF32);
    std::vector<int32_t> pages, ids;
    std::vector<RowPlace> places;
    std::vector<AdapterRows> groups;
    for (size_t s = 0; s < sequences.size(); ++s) pages.push_back(cache.take());
    for (size_t s = 0; s < sequences.size(); ++s) {
      if (sequences[s]) groups.push_back({sequences[s], static_cast<int64_t>(ids.size()), kTokens});
      for (int i = 0; i < kTokens; ++i) places.push_back({&pages[s], i});
      ids.insert(ids.end(), ids_.begin(), ids_.end());
    }
    Tensor y = model.logits(c, model.cached(c, ids, places, cache, groups), groups);
    return {y.data, y.data + y.size()};
  }
  static double difference(std::span<const float> found, std::span<const float> expected) {
    double top = 1e-6, most = 0;
    for (float v : expected) top = std::max(top, static_cast<double>(std::abs(v)));
    for (size_t i = 0; i < expected.size(); ++i) {
      double d = std::abs(found[i] - expected[i]) / top;
      if (!(d <= most)) most = std::isnan(d) ? INFINITY : d;
    }
    return most;
  }
};

TEST_F(LoraTest, LogitsAsPeft) {
  const Target before = active_target();
  for (Target target : available_targets()) {
    force_target(target);
    EXPECT_LE(difference(logits(*model_, {nullptr}), golden("base")), 1e-5);
    for (const char* name : {"plain", "rslora", "dora", "vocabulary"}) {
      auto adapter = open(name);
      EXPECT_LE(difference(logits(*model_, {adapter.get()}), golden(name)), 2e-5) << name << " " << target_name(target);
      EXPECT_GT(difference(golden(name), golden("base")), 0.05) << name;  // the adapter matters
    }
  }
  force_target(before);
}

// The same adapter in F16, as packed AIs have it: half the memory, and what F32 of the same rounded values gives.
TEST_F(LoraTest, HalfPrecisionStaysAsItIsStored) {
  const auto from = Safetensors::open(data_ + "lora/rslora/adapter_model.safetensors");
  const std::string config = read_file(data_ + "lora/rslora/adapter_config.json", 1 << 20);
  SafetensorsWriter half, whole;
  for (const SafetensorsTensor& t : from->tensors()) {
    auto values = from->floats(t.name, t.shape);
    half.add(t.name, t.shape, values, ElementType::kF16);
    for (float& v : values) v = f32_of_f16(f16_of_f32(v));
    whole.add(t.name, t.shape, values);
  }
  const auto read = [&](const SafetensorsWriter& writer) {
    const std::string bytes = writer.bytes();
    return LoraAdapter::read(config, std::as_bytes(std::span(bytes)), "test", *model_);
  };
  const auto small = read(half), large = read(whole);
  EXPECT_EQ(2 * small->bytes(), large->bytes());
  const Target before = active_target();
  for (Target target : available_targets()) {
    force_target(target);
    const auto got = logits(*model_, {small.get()});
    EXPECT_LE(difference(got, logits(*model_, {large.get()})), 2e-6) << target_name(target);
    EXPECT_LE(difference(got, golden("rslora")), 2e-3) << target_name(target);
  }
  force_target(before);
  const auto path = std::filesystem::temp_directory_path() / ("ingot_merged_half_" + std::to_string(::getpid()) + ".gguf");
  merge_lora(*file_, *model_, *small, path);
  EXPECT_LE(difference(logits(*Llama::load(Gguf::open(path)), {nullptr}), logits(*model_, {large.get()})), 2e-5);
  std::filesystem::remove(path);
}

TEST_F(LoraTest, AdaptersOfOneBatchAreAsAlone) {
  auto plain = open("plain"), root = open("rslora"), dora = open("dora"), vocabulary = open("vocabulary");
  EXPECT_NE(plain->serial(), root->serial());
  const std::vector<const LoraAdapter*> batch{nullptr, plain.get(), plain.get(), dora.get(), root.get(), vocabulary.get(), nullptr};
  auto all = logits(*model_, batch);
  for (size_t s = 0; s < batch.size(); ++s) {
    auto one = logits(*model_, {batch[s]});
    EXPECT_TRUE(std::equal(one.begin(), one.end(), all.begin() + static_cast<long>(s * one.size()))) << s;
  }
}

TEST_F(LoraTest, MergedIsAsApplied) {
  for (const char* name : {"plain", "dora", "vocabulary"}) EXPECT_LE(difference(logits(*merged(*model_, *open(name)), {nullptr}), golden(name)), 2e-5) << name;
  // The base reads and writes by one table; what changes the one must not change the other.
  EXPECT_TRUE(model_->config().tied && merged(*model_, *open("plain"))->config().tied);
  auto parted = merged(*model_, *open("vocabulary"));
  EXPECT_FALSE(parted->config().tied);
  EXPECT_LE(difference(logits(*merged(*parted, *open("plain")), {nullptr}), logits(*parted, {open("plain").get()})), 2e-5);
  EXPECT_LE(difference(logits(*merged(*parted, *open("vocabulary")), {nullptr}), logits(*parted, {open("vocabulary").get()})), 2e-5) << "a head of its own";
}

// A base in two parts, aligned to 64: the result is one file that opens, with what still holds of the metadata.
TEST_F(LoraTest, MergesIntoASplitBase) {
  GgufWriter parts[2];
  const auto& tensors = file_->tensors();
  for (const auto& [key, value] : file_->metadata()) parts[0].set(key, value);
  parts[0].set("general.file_type", GgufValue::u32(0));
  for (size_t i = 0; i < tensors.size(); ++i) parts[i % 2].add(tensors[i].name, tensors[i].shape, tensors[i].type, tensors[i].data);
  for (uint32_t i = 0; i < 2; ++i) {
    parts[i].set("split.no", GgufValue::u32(i));
    parts[i].set("split.count", GgufValue::u32(2));
    parts[i].set("split.tensors.count", GgufValue::u32(static_cast<uint32_t>(tensors.size())));
    parts[i].set("general.alignment", GgufValue::u32(64));
    parts[i].write(scratch(i ? "base-00002-of-00002.gguf" : "base-00001-of-00002.gguf"));
  }
  auto base = Llama::load(Gguf::open(scratch("base-00001-of-00002.gguf")));
  auto model = merged(*base, *open("plain"));
  EXPECT_LE(difference(logits(*model, {nullptr}), golden("plain")), 2e-5);
  EXPECT_EQ(model->file()->tensors().size(), tensors.size());
  for (const auto& [key, value] : model->file()->metadata()) EXPECT_FALSE(key.starts_with("split.") || key == "general.file_type") << key;
  EXPECT_EQ(model->file()->integer("general.alignment"), 64);
  for (const char* name : {"base-00001-of-00002.gguf", "base-00002-of-00002.gguf"}) fs::remove(scratch(name));
}

// To half a step of the block's scale (a whole one where Q4_0 has no code for it), the scale itself rounded to F16.
TEST_F(LoraTest, MergesIntoAQuantisedBase) {
  LlamaConfig config = model_->config();
  config.width = config.hidden = 64;
  const auto floats = Llama::random(config, 5);
  for (auto [type, step] : {std::pair{ElementType::kQ8_0, 0.5 / 127}, {ElementType::kQ4_0, 1.0 / 8}}) {
    auto base = as_gguf(*floats, type);
    const std::string tensors = peft_tensors(*base, false);
    auto adapter = adapter_of(tensors, false, *base);
    auto model = merged(*base, *adapter);
    EXPECT_GT(expect_merged(*base, *model, *adapter, type, step + 0x1p-11), 5);
    for (const GgufTensor& t : base->file()->tensors()) {
      const GgufTensor* same = model->file()->find(t.name);
      ASSERT_TRUE(same) << t.name;
      EXPECT_EQ(same->type, t.type);
      const bool changed = t.name.starts_with("blk.") && t.name.find("norm") == std::string::npos;
      EXPECT_EQ(std::memcmp(same->data, t.data, t.bytes) != 0, changed) << t.name;
    }
    if (type != ElementType::kQ8_0) continue;  // steps of 4 bits hide what the adapter says in so small a model
    const auto applied = logits(*base, {adapter.get()});
    EXPECT_LT(difference(logits(*model, {nullptr}), applied), difference(logits(*base, {nullptr}), applied) / 4);
  }
}

// Qwen 2 has biases on query, key and value: they stay, and DoRA's magnitudes do not scale them.
TEST_F(LoraTest, MergesIntoABaseWithBiases) {
  auto folder = family("qwen2"), base = as_gguf(*folder, ElementType::kF32);
  ASSERT_TRUE(base->layer(0).query_bias && base->layer(0).key_bias && base->layer(0).value_bias);
  const std::string tensors[] = {peft_tensors(*base, false), peft_tensors(*base, true)};
  for (bool dora : {false, true}) {
    auto adapter = adapter_of(tensors[dora], dora, *base);
    const auto applied = logits(*base, {adapter.get()});
    EXPECT_GT(difference(applied, logits(*base, {nullptr})), 0.05);
    EXPECT_LE(difference(logits(*folder, {adapter_of(tensors[dora], dora, *folder).get()}), applied), 2e-5) << dora;
    auto model = merged(*base, *adapter);
    EXPECT_LE(difference(logits(*model, {nullptr}), applied), 2e-5) << dora;
    for (const char* name : {"blk.0.attn_q.bias", "blk.1.attn_v.bias"})
      EXPECT_EQ(std::memcmp(model->file()->find(name)->data, base->file()->find(name)->data, base->file()->find(name)->bytes), 0) << name;
  }
}

// As `ingot merge` does with a folder: it becomes GGUF in memory in its own types. The adapter over the folder itself is the reference.
TEST_F(LoraTest, MergesIntoAHuggingFaceFolder) {
  const std::vector<std::string_view> texts{"a bug in the parser, a bug in the lexer"};
  const auto tokenizer = train_tokenizer(texts, 260, PreTokenizer::kSmolLm, {});
  for (const char* name : {"llama1", "smollm2", "qwen2"}) {
    auto reference = family(name);
    const fs::path folder = scratch("folder");
    fs::remove_all(folder);
    fs::copy(data_ + "families/" + name, folder);
    write_file(folder / "tokenizer.json", tokenizer->to_json());
    write_file(folder / "generation_config.json", R"({"temperature": 0.25})");
    auto file = gguf_of_model(folder);
    EXPECT_EQ(file->number("general.sampling.temp", 0), 0.25);
    EXPECT_EQ(Tokenizer::from_gguf(*file)->encode("the parser"), tokenizer->encode("the parser"));
    auto base = Llama::load(file);
    EXPECT_LE(difference(logits(*base, {nullptr}), logits(*reference, {nullptr})), 1e-5) << name;
    for (bool dora : {false, true}) {
      const std::string tensors = peft_tensors(*reference, dora);
      const auto applied = logits(*reference, {adapter_of(tensors, dora, *reference).get()});
      EXPECT_GT(difference(applied, logits(*reference, {nullptr})), 0.05);
      auto adapter = adapter_of(tensors, dora, *base);
      auto model = merged(*base, *adapter);
      EXPECT_GT(expect_merged(*base, *model, *adapter, ElementType::kBF16, 0x1p-8), 5);  // half of BF16's last bit
      EXPECT_LT(difference(logits(*model, {nullptr}), applied), difference(logits(*reference, {nullptr}), applied) / 4) << name;
      auto wide = as_gguf(*reference, ElementType::kF32);
      EXPECT_LE(difference(logits(*merged(*wide, *adapter_of(tensors, dora, *wide)), {nullptr}), applied), 2e-5) << name;
    }
    fs::remove_all(folder);
  }
}

TEST_F(LoraTest, GgufAdapters) {
  const fs::path path = scratch("adapter.gguf");
  write_gguf_adapter(*Safetensors::open(data_ + "lora/plain/adapter_model.safetensors"), 2, 16, path);
  EXPECT_LE(difference(logits(*model_, {LoraAdapter::open(path, *model_).get()}), golden("plain")), 2e-5);
  fs::remove(path);
}

// llama.cpp's converter turns the embedding's A over, and leaves the base's copies out.
TEST_F(LoraTest, GgufAdaptersOfTheVocabulary) {
  const auto peft = Safetensors::open(data_ + "lora/vocabulary/adapter_model.safetensors");
  GgufWriter out;
  out.set("general.type", GgufValue::text("adapter"));
  out.set("general.architecture", GgufValue::text("llama"));
  out.set("adapter.type", GgufValue::text("lora"));
  out.set("adapter.lora.alpha", GgufValue::f32(6));
  const auto add = [&](const std::string& from, const std::string& to, bool turned = false) {
    const auto* t = peft->find("base_model.model." + from);
    ASSERT_NE(t, nullptr) << from;
    auto values = peft->floats(t->name, t->shape), other = values;
    std::vector<int64_t> shape(t->shape.begin(), t->shape.end());
    if (turned) {
      for (int64_t r = 0; r < shape[0]; ++r)
        for (int64_t c = 0; c < shape[1]; ++c) values[static_cast<size_t>(c * shape[0] + r)] = other[static_cast<size_t>(r * shape[1] + c)];
      std::swap(shape[0], shape[1]);
    }
    out.add(to, shape, ElementType::kF32, std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4));
  };
  add("model.embed_tokens.lora_embedding_A", "token_embd.weight.lora_a", true);
  add("model.embed_tokens.lora_embedding_B", "token_embd.weight.lora_b");
  for (const char* side : {"A", "B"}) {
    const std::string small = *side == 'A' ? "a" : "b";
    add(std::string("lm_head.lora_") + side + ".weight", "output.weight.lora_" + small);
    for (const char* layer : {"0", "1"}) add(std::string("model.layers.") + layer + ".self_attn.v_proj.lora_" + side + ".weight", std::string("blk.") + layer + ".attn_v.weight.lora_" + small);
  }
  const fs::path path = scratch("vocabulary.gguf");
  out.write(path);
  EXPECT_LE(difference(logits(*model_, {LoraAdapter::open(path, *model_).get()}), golden("vocabulary")), 2e-5);
  fs::remove(path);
}

// A folder's llama has its query and key rows as halves, the adapter's GGUF as pairs.
TEST_F(LoraTest, GgufAdaptersOverAHuggingFaceFolder) {
  for (const char* name : {"llama1", "llama3", "smollm2", "mistral"}) {
    auto folder = family(name);
    const std::string tensors = peft_tensors(*folder, false);
    const fs::path path = scratch("adapter.gguf");
    write_gguf_adapter(*Safetensors::parse(std::as_bytes(std::span(tensors)), "test"), folder->config().layers, folder->config().head_size, path);
    const auto peft = logits(*folder, {adapter_of(tensors, false, *folder).get()});
    EXPECT_EQ(logits(*folder, {LoraAdapter::open(path, *folder).get()}), peft) << name;
    auto base = as_gguf(*folder, ElementType::kF32);
    EXPECT_LE(difference(logits(*base, {LoraAdapter::open(path, *base).get()}), peft), 2e-5) << name;
    fs::remove(path);
  }
}

TEST_F(LoraTest, RefusesWhatDoesNotFit) {
  const auto folder = std::filesystem::temp_directory_path() / ("ingot_lora_" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::copy(data_ + "lora/plain", folder);
  auto problem = [&](const std::string& config) -> std::string {
    write_file(folder / "adapter_config.json", config);
    try {
      LoraAdapter::open(folder, *model_);
    } catch (const Error& e) {
      return e.problem;
    }
    return "";
  };
  EXPECT_EQ(problem(R"({"r":4,"lora_alpha":8})"), "");
  EXPECT_NE(problem(R"({"r":5})").find("5"), std::string::npos);
  EXPECT_NE(problem(R"({"r":1e300})").find("1e+300"), std::string::npos);
  EXPECT_NE(problem(R"({"r":4,"lora_alpha":1e300})").find("not finite"), std::string::npos);
  EXPECT_NE(problem(R"({"r":4,"bias":"all"})").find("bias"), std::string::npos);
  EXPECT_NE(problem(R"({"r":4,"modules_to_save":["lm_head"]})").find("modules_to_save"), std::string::npos);
  EXPECT_NE(problem(R"({"r":4,"use_dora":true})").find("magnitude"), std::string::npos);
  EXPECT_NE(problem(R"({"peft_type":"IA3"})").find("IA3"), std::string::npos);
  EXPECT_NE(problem("[").find("JSON"), std::string::npos);
  std::filesystem::remove_all(folder);
  EXPECT_THROW(LoraAdapter::open(data_ + "llama_tiny.gguf", *model_), Error);
  const auto tensors = [&](const std::string& config, std::initializer_list<std::pair<const char*, std::vector<int64_t>>> list) -> std::string {
    SafetensorsWriter out;
    for (const auto& [name, shape] : list) out.add(std::string("base_model.model.") + name, shape, std::vector<float>(static_cast<size_t>(shape[0] * (shape.size() > 1 ? shape[1] : 1)), 0.1f));
    const std::string bytes = out.bytes();
    try {
      LoraAdapter::read(config, std::as_bytes(std::span(bytes)), "test", *model_);
    } catch (const Error& e) {
      return e.problem;
    }
    return "";
  };
  EXPECT_EQ(tensors(R"({"r":2})", {{"model.embed_tokens.lora_embedding_A", {2, 64}}, {"model.embed_tokens.lora_embedding_B", {32, 2}}}), "");
  EXPECT_EQ(tensors(R"({"r":2})", {{"model.embed_tokens.lora_embedding_A", {2, 65}}, {"model.embed_tokens.lora_embedding_B", {32, 2}}}), "the tensor has shape [2, 65], with this base it would be [2, 64]");
  EXPECT_EQ(tensors(R"({"r":2})", {{"lm_head.base_layer.weight", {66, 32}}}), "the tensor has shape [66, 32], with this base it would be [64, 32]") << "grown by tokens";
  EXPECT_EQ(tensors(R"({"r":2,"use_dora":true})", {{"model.embed_tokens.lora_embedding_A", {2, 64}}, {"model.embed_tokens.lora_embedding_B", {32, 2}}, {"model.embed_tokens.lora_magnitude_vector", {32}}}),
            "DoRA of the embedding is not supported");
  EXPECT_NE(tensors(R"({"r":2})", {{"model.embed_tokens.weight", {64, 32}}}).find("embedding and head"), std::string::npos) << "a table that was learnt whole";

  GgufWriter twice;  // under two spellings
  twice.set("general.type", GgufValue::text("adapter"));
  twice.set("adapter.type", GgufValue::text("lora"));
  for (auto [name, rank] : {std::pair{"blk.0.attn_q.weight", 2}, {"blk.00.attn_q.weight", 8}}) {
    const Weight& w = model_->layer(0).query;
    twice.add(name + std::string(".lora_a"), {rank, w.cols}, ElementType::kF16, std::string(static_cast<size_t>(rank * w.cols * 2), '\0'));
    twice.add(name + std::string(".lora_b"), {w.rows, rank}, ElementType::kF16, std::string(static_cast<size_t>(rank * w.rows * 2), '\0'));
  }
  const fs::path path = scratch("twice.gguf");
  twice.write(path);
  try {
    LoraAdapter::open(path, *model_);
    ADD_FAILURE() << "read";
  } catch (const Error& error) {
    EXPECT_EQ(error.problem, "the matrix of layer 0 stands twice");
  }
  fs::remove(path);
}

}  // namespace
}  // namespace ingot
