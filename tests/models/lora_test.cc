// Adapters against PEFT (tools/make_lora_goldens.py).
#include "models/llama/lora.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "formats/safetensors.h"
#include "formats/safetensors_writer.h"
#include "kernels/target.h"
#include "models/llama/llama.h"

namespace ingot {
namespace {

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
    Tensor y = model.logits(c, model.cached(c, ids, places, cache, groups));
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
    for (const char* name : {"plain", "rslora", "dora"}) {
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
  auto plain = open("plain"), root = open("rslora"), dora = open("dora");
  EXPECT_NE(plain->serial(), root->serial());
  const std::vector<const LoraAdapter*> batch{nullptr, plain.get(), plain.get(), dora.get(), root.get(), nullptr};
  auto all = logits(*model_, batch);
  for (size_t s = 0; s < batch.size(); ++s) {
    auto one = logits(*model_, {batch[s]});
    EXPECT_TRUE(std::equal(one.begin(), one.end(), all.begin() + static_cast<long>(s * one.size()))) << s;
  }
}

TEST_F(LoraTest, MergedIsAsApplied) {
  const auto path = std::filesystem::temp_directory_path() / ("ingot_merged_" + std::to_string(::getpid()) + ".gguf");
  for (const char* name : {"plain", "dora"}) {
    merge_lora(*file_, *model_, *open(name), path);
    auto merged = Llama::load(Gguf::open(path));
    EXPECT_LE(difference(logits(*merged, {nullptr}), golden(name)), 2e-5) << name;
  }
  std::filesystem::remove(path);
}

TEST_F(LoraTest, GgufAdapters) {
  // The same matrices as PEFT's "plain", written as llama.cpp's converter does: q and k in the order of pairs.
  auto peft = Safetensors::open(data_ + "lora/plain/adapter_model.safetensors");
  GgufWriter out;
  out.set("general.type", GgufValue::text("adapter"));
  out.set("general.architecture", GgufValue::text("llama"));
  out.set("adapter.type", GgufValue::text("lora"));
  out.set("adapter.lora.alpha", GgufValue::f32(8));
  const std::pair<const char*, const char*> names[] = {{"self_attn.q_proj", "attn_q"}, {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"}, {"self_attn.o_proj", "attn_output"},
                                                       {"mlp.gate_proj", "ffn_gate"}, {"mlp.up_proj", "ffn_up"}, {"mlp.down_proj", "ffn_down"}};
  for (int layer = 0; layer < 2; ++layer)
    for (auto [from, to] : names)
      for (const char* part : {"A", "B"}) {
        const auto* t = peft->find("base_model.model.model.layers." + std::to_string(layer) + "." + from + ".lora_" + part + ".weight");
        ASSERT_NE(t, nullptr);
        auto values = peft->floats(t->name, t->shape);
        std::string key = std::string("blk.") + std::to_string(layer) + "." + to + ".weight.lora_" + (*part == 'A' ? "a" : "b");
        if (*part == 'B' && (std::string(to) == "attn_q" || std::string(to) == "attn_k")) {
          auto halves = values;
          for (int64_t r = 0; r < t->shape[0]; ++r)  // a head has 16 rows
            for (int64_t j = 0; j < 4; ++j)
              values[static_cast<size_t>((r / 16 * 16 + r % 8 * 2 + r % 16 / 8) * 4 + j)] = halves[static_cast<size_t>(r * 4 + j)];
        }
        out.add(key, t->shape, ElementType::kF32, std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4));
      }
  const auto path = std::filesystem::temp_directory_path() / ("ingot_adapter_" + std::to_string(::getpid()) + ".gguf");
  out.write(path);
  EXPECT_LE(difference(logits(*model_, {LoraAdapter::open(path, *model_).get()}), golden("plain")), 2e-5);
  std::filesystem::remove(path);
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
  EXPECT_NE(problem(R"({"r":4,"bias":"all"})").find("bias"), std::string::npos);
  EXPECT_NE(problem(R"({"r":4,"modules_to_save":["lm_head"]})").find("modules_to_save"), std::string::npos);
  EXPECT_NE(problem(R"({"r":4,"use_dora":true})").find("magnitude"), std::string::npos);
  EXPECT_NE(problem(R"({"peft_type":"IA3"})").find("IA3"), std::string::npos);
  EXPECT_NE(problem("[").find("JSON"), std::string::npos);
  std::filesystem::remove_all(folder);
  EXPECT_THROW(LoraAdapter::open(data_ + "llama_tiny.gguf", *model_), Error);
}

}  // namespace
}  // namespace ingot
