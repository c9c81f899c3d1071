// LoRA against peft and torch.optim.AdamW (tools/make_tuning_goldens.py), and what a checkpoint promises.
#include "train/lora.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/files.h"
#include "core/random.h"
#include "formats/safetensors.h"
#include "kernels/dequantize.h"
#include "train/tuner.h"

namespace ingot {
namespace {

const std::string kData = std::string(INGOT_TEST_DATA) + "/train/data/";

float difference(const float* found, const float* expected, int64_t n) {
  float top = 1e-6f, most = 0;
  for (int64_t i = 0; i < n; ++i) top = std::max(top, std::abs(expected[i]));
  for (int64_t i = 0; i < n; ++i) {
    const float d = std::abs(found[i] - expected[i]) / top;
    if (!(d <= most)) most = std::isnan(d) ? INFINITY : d;
  }
  return most;
}

class LoraTest : public testing::Test {
 protected:
  std::shared_ptr<const Gguf> file_ = Gguf::open(kData + "lora_tiny.gguf");
  std::shared_ptr<Llama> base_ = Llama::load(file_);
  ThreadTeam team_{2};
  std::vector<TuningSample> samples_;

  std::span<const float> golden(const std::string& name) {
    const GgufTensor* t = file_->find(name);
    return {reinterpret_cast<const float*>(t->data), static_cast<size_t>(t->elements())};
  }
  void SetUp() override {
    size_t at = 0;
    for (float length : golden("golden.lengths")) {
      TuningSample s;
      for (int i = 0; i < static_cast<int>(length); ++i, ++at) {
        s.ids.push_back(static_cast<int32_t>(golden("golden.ids")[at]));
        s.targets.push_back(golden("golden.targets")[at] < 0 ? -1 : static_cast<int32_t>(golden("golden.targets")[at]));
      }
      samples_.push_back(s);
    }
  }
  TuningPlan plan() {
    TuningPlan p;
    p.training.batch = 3, p.training.rate = 1e-2, p.training.warmup = 0, p.training.floor = 1, p.training.steps = 10;
    p.training.beta2 = 0.999, p.training.decay = 0.01;
    return p;
  }
  // Gradients of one pass over the whole batch, by peft's names.
  void gradients(Lora& lora, bool recompute) {
    Arena arena;
    Tape tape;
    Context c{team_, arena, &tape, false, recompute};
    std::vector<int32_t> ids, targets;
    std::vector<int64_t> starts{0};
    for (const TuningSample& s : samples_) {
      ids.insert(ids.end(), s.ids.begin(), s.ids.end());
      targets.insert(targets.end(), s.targets.begin(), s.targets.end());
      starts.push_back(static_cast<int64_t>(ids.size()));
    }
    int64_t count = 0;
    const double sum = head_loss(c, lora.model()->packed(c, ids, starts), lora.model()->head(), targets, 1, &count);
    tape.backward();
    EXPECT_NEAR(sum / static_cast<double>(count), golden("golden.losses")[0], 2e-5);
  }
  // What the adapter's files hold, or its gradients laid out the same way.
  std::shared_ptr<const Safetensors> files(Lora& lora, bool of_gradients) {
    std::vector<std::vector<float>> kept;
    if (of_gradients)
      for (Weight* w : lora.weights()) {
        kept.emplace_back(w->f32(), w->f32() + w->size());
        std::memcpy(const_cast<float*>(w->f32()), w->grad, kept.back().size() * sizeof(float));
      }
    auto bytes = std::make_shared<std::string>(lora.safetensors());
    for (size_t i = 0; i < kept.size(); ++i) std::memcpy(const_cast<float*>(lora.weights()[i]->f32()), kept[i].data(), kept[i].size() * sizeof(float));
    return Safetensors::parse(std::as_bytes(std::span(*bytes)), "written", bytes);
  }
  void expect_same(const Safetensors& found, const std::string& expected, float tolerance) {
    auto right = Safetensors::open(kData + expected);
    EXPECT_EQ(found.tensors().size(), right->tensors().size());
    for (const SafetensorsTensor& t : right->tensors()) {
      const auto a = found.floats(t.name, t.shape), b = right->floats(t.name, t.shape);
      EXPECT_LE(difference(a.data(), b.data(), t.elements()), tolerance) << t.name;
    }
  }
};

TEST_F(LoraTest, WritesWhatPeftWrote) {
  auto lora = Lora::read(*base_, kData + "adapter");
  expect_same(*files(*lora, false), "adapter/adapter_model.safetensors", 0);
  const auto folder = std::filesystem::path(testing::TempDir()) / "ingot_lora_again";
  lora->write(folder, "tiny");
  auto again = Lora::read(*base_, folder);
  EXPECT_EQ(again->safetensors(), lora->safetensors());
}

TEST_F(LoraTest, LossAndEveryGradientAsPeft) {
  for (bool recompute : {false, true}) {
    auto lora = Lora::read(*base_, kData + "adapter");
    gradients(*lora, recompute);
    expect_same(*files(*lora, true), "gradients.safetensors", 2e-5f);
  }
}

TEST_F(LoraTest, RecomputedGradientsAreTheSameBits) {
  auto kept = Lora::read(*base_, kData + "adapter"), again = Lora::read(*base_, kData + "adapter");
  gradients(*kept, false);
  gradients(*again, true);
  for (size_t i = 0; i < kept->weights().size(); ++i) {
    const Weight *a = kept->weights()[i], *b = again->weights()[i];
    EXPECT_EQ(std::memcmp(a->grad, b->grad, static_cast<size_t>(a->size()) * 4), 0) << a->name;
  }
}

TEST_F(LoraTest, TenStepsAsTorch) {
  for (int64_t micro : {4096, 40}) {  // one pass, and a pass a sample
    auto lora = Lora::read(*base_, kData + "adapter");
    TuningPlan p = plan();
    p.micro_tokens = micro;
    Tuner tuner(lora->model(), lora->weights(), samples_, p, "", team_);
    for (int step = 0; step < 10; ++step) EXPECT_NEAR(tuner.step(), golden("golden.losses")[static_cast<size_t>(step)], 1e-4) << step;
    expect_same(*files(*lora, false), "after.safetensors", 5e-3f);  // Adam divides by the gradient's own size
    Arena arena;
    Context c{team_, arena};
    size_t at = 0;
    for (const TuningSample& s : samples_) {
      const int64_t n = static_cast<int64_t>(s.ids.size()), starts[] = {0, n};
      Tensor logits = lora->model()->logits(c, lora->model()->packed(c, s.ids, starts));
      EXPECT_LE(difference(logits.data, golden("golden.logits").data() + at, n * 48), 5e-3f);
      at += s.ids.size() * 48;
    }
  }
}

// The head of a quantised base reads activations in int8, as serving does; the gradient goes through the weights as stored.
TEST_F(LoraTest, OverQuantisedWeightsAsOverTheirValues) {
  GgufWriter q8, f32;
  base_->write(q8, ElementType::kQ8_0, ElementType::kQ8_0);
  const std::string stored = q8.bytes();
  auto quantised = Llama::load(Gguf::parse(std::as_bytes(std::span(stored)), "q8"));
  auto widened = Llama::trainable(*quantised);
  auto a = Lora::read(*quantised, kData + "adapter"), b = Lora::read(*widened, kData + "adapter");
  Tuner left(a->model(), a->weights(), samples_, plan(), "", team_), right(b->model(), b->weights(), samples_, plan(), "", team_);
  double first = 0;
  for (int step = 0; step < 10; ++step) {
    const double x = left.step(), y = right.step();
    if (!step) first = x;
    EXPECT_NEAR(x, y, 0.02 * first) << step;
    if (step == 9) {
      EXPECT_LT(x, first - 0.5);
    }
  }
  for (Weight* w : quantised->weights()) EXPECT_EQ(w->grad, nullptr);
}

TEST_F(LoraTest, ResumesToTheSameBits) {
  const auto path = std::filesystem::path(testing::TempDir()) / "ingot_tuning_state.bin";
  LoraPlan shape;
  shape.rank = 2;
  TuningPlan p = plan();
  p.training.batch = 2, p.training.warmup = 3;
  auto whole = Lora::create(*base_, shape), part = Lora::create(*base_, shape), rest = Lora::create(*base_, shape);
  Tuner a(whole->model(), whole->weights(), samples_, p, "x", team_), b(part->model(), part->weights(), samples_, p, "x", team_),
      d(rest->model(), rest->weights(), samples_, p, "x", team_);
  for (int i = 0; i < 9; ++i) a.step();
  for (int i = 0; i < 4; ++i) b.step();
  b.save(path);
  d.resume(path);
  for (int i = 4; i < 9; ++i) d.step();
  EXPECT_EQ(whole->safetensors(), rest->safetensors());
  Tuner other(part->model(), part->weights(), samples_, p, "y", team_);
  EXPECT_THROW(other.resume(path), Error);
}

TEST_F(LoraTest, RefusesWhatDoesNotFit) {
  LoraPlan plan;
  plan.targets = {"q_proj", "embed"};
  EXPECT_THROW(Lora::create(*base_, plan), Error);
  plan.targets = {};
  EXPECT_THROW(Lora::create(*base_, plan), Error);
  const std::string tensors = read_file(kData + "adapter/adapter_model.safetensors");
  for (const char* config : {"", "[]", R"({"peft_type":"IA3"})", R"({"peft_type":"LORA","r":8,"target_modules":["q_proj"]})", R"({"peft_type":"LORA","r":"x","target_modules":[]})"})
    EXPECT_THROW(Lora::read(*base_, config, std::as_bytes(std::span(tensors)), "test"), Error) << config;
}

TEST_F(LoraTest, DistillationOnTheHeadAsTorch) {
  Arena arena;
  Tape tape;
  Context c{team_, arena, &tape};
  Tensor x = c.make(6, 64);
  std::copy_n(golden("distil.x").data(), 6 * 64, x.data);
  std::vector<float> grad(48 * 64);
  Weight w{"w", ElementType::kF32, 48, 64, golden("distil.w").data(), grad.data()};
  std::vector<int32_t> labels, tokens;
  for (float f : golden("distil.labels")) labels.push_back(f < 0 ? -1 : static_cast<int32_t>(f));
  for (float f : golden("distil.tokens")) tokens.push_back(static_cast<int32_t>(f));
  int64_t count = 0;
  const double sum = head_distil(c, x, w, labels, {8, tokens.data(), golden("distil.logits").data()}, 0.7f, 2, 1, &count);
  EXPECT_EQ(count, 5);
  EXPECT_NEAR(sum / 5, golden("distil.loss")[0], 1e-4);
  EXPECT_LE(difference(x.grad, golden("distil.dx").data(), 6 * 64), 1e-5f);
  EXPECT_LE(difference(grad.data(), golden("distil.dw").data(), 48 * 64), 1e-5f);
}

}  // namespace
}  // namespace ingot
