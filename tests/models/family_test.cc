// Every family from its folder, and from the GGUF that we write of it, against transformers (tools/make_family_goldens.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/files.h"
#include "formats/safetensors.h"
#include "models/bert/bert.h"
#include "models/decoder_family.h"
#include "models/llama/llama.h"
#include "../formats/refusal.h"

namespace ingot {
namespace {

using harness::refusal_of;

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(INGOT_TEST_DATA) / "models/data/families";

// The largest difference over the largest value; NaN counts as infinite.
float difference(std::span<const float> found, std::span<const float> expected) {
  if (found.size() != expected.size()) return INFINITY;
  float top = 1e-6f, most = 0;
  for (float e : expected) top = std::max(top, std::abs(e));
  for (size_t i = 0; i < found.size(); ++i) {
    const float d = std::abs(found[i] - expected[i]) / top;
    if (!(d <= most)) most = std::isnan(d) ? INFINITY : d;
  }
  return most;
}

struct Golden {
  std::vector<int32_t> ids;
  std::vector<float> out;

  explicit Golden(const std::string& name) {
    auto file = Safetensors::open(kFolder / name / "golden.safetensors");
    for (float id : file->floats("ids", file->find("ids")->shape)) ids.push_back(static_cast<int32_t>(id));
    out = file->floats("out", file->find("out")->shape);
  }
};

std::shared_ptr<Llama> load(const std::string& name) {
  return Llama::load(HfConfig::open(kFolder / name / "config.json"), Safetensors::open(kFolder / name));
}

std::vector<float> logits_of(const Llama& model, std::span<const int32_t> ids, int64_t chunk, CacheType type = CacheType::kF32) {
  ThreadTeam team(2);
  Arena arena;
  Context c{team, arena};
  const auto n = static_cast<int64_t>(ids.size());
  KvCache cache = model.make_cache(n + 64, type);
  std::vector<int32_t> pages;
  for (int64_t i = 0; i < n; i += 64) pages.push_back(cache.take());
  std::vector<float> all;
  for (int64_t at = 0; at < n; at += chunk) {
    const int64_t count = std::min(chunk, n - at);
    std::vector<RowPlace> places;
    for (int64_t i = 0; i < count; ++i) places.push_back({pages.data(), static_cast<int32_t>(at + i)});
    Tensor y = model.logits(c, model.cached(c, ids.subspan(static_cast<size_t>(at), static_cast<size_t>(count)), places, cache));
    all.insert(all.end(), y.data, y.data + y.size());
  }
  return all;
}

class Family : public testing::TestWithParam<const char*> {};

TEST_P(Family, LogitsAsTransformersInAnyChunking) {
  const Golden golden(GetParam());
  auto model = load(GetParam());
  const auto whole = logits_of(*model, golden.ids, 90);
  const float error = difference(whole, golden.out);
  RecordProperty("relative_error", std::to_string(error));
  EXPECT_LE(error, 1e-5f);
  for (int64_t chunk : {1, 13}) {
    const auto cut = logits_of(*model, golden.ids, chunk);
    EXPECT_EQ(std::memcmp(cut.data(), whole.data(), whole.size() * sizeof(float)), 0) << "chunk " << chunk;
  }
  EXPECT_LE(difference(logits_of(*model, golden.ids, 90, CacheType::kF16), golden.out), 1e-2f);
}

TEST_P(Family, TheSameFromTheGgufThatWeWrite) {
  const Golden golden(GetParam());
  auto model = load(GetParam());
  GgufWriter writer;
  if (model->config().rope_scaling.kind == RopeScaling::Kind::kDynamic || std::string(GetParam()) == "qwen2_window") {
    EXPECT_THROW(model->write(writer, ElementType::kF32, ElementType::kF32), Error);  // GGUF cannot say it
    return;
  }
  model->write(writer, ElementType::kF32, ElementType::kF32);
  const std::string bytes = writer.bytes();
  auto again = Llama::load(Gguf::parse(std::as_bytes(std::span(bytes)), "again"));
  // GGUF's Gemma has no key for the scale of the query: 1/sqrt(head size) but for the largest.
  if (model->config().attention_scale > 0 && std::abs(model->config().attention_scale - again->config().query_scale()) > 1e-6f) return;
  EXPECT_LE(difference(logits_of(*again, golden.ids, 90), golden.out), 1e-5f);
}

// What a family adds must matter to its golden, else the test above would hold without it.
TEST_P(Family, ATextOneTokenShorterIsAPrefix) {
  const Golden golden(GetParam());
  auto model = load(GetParam());
  auto ids = golden.ids;
  ids[70] = (ids[70] + 1) % 48;
  const auto changed = logits_of(*model, ids, 90);
  const auto before = std::span(changed).first(70 * 48), after = std::span(changed).subspan(70 * 48);
  EXPECT_LE(difference(before, std::span(golden.out).first(70 * 48)), 1e-5f);
  EXPECT_GT(difference(after, std::span(golden.out).subspan(70 * 48)), 1e-2f);
}

INSTANTIATE_TEST_SUITE_P(All, Family,
                         testing::Values("llama1", "llama3", "llama_linear", "llama_dynamic", "llama_yarn", "llama_yarn_mscale", "smollm2", "mistral", "qwen2", "qwen2_window",
                                         "qwen3", "gemma3", "gemma3_cap", "gemma3_256"),
                         [](const auto& info) { return std::string(info.param); });

class Encoder : public testing::TestWithParam<const char*> {};

TEST_P(Encoder, HiddenStatesAsTransformersAloneAndTogether) {
  const Golden golden(GetParam());
  auto model = Bert::load(HfConfig::open(kFolder / GetParam() / "config.json"), Safetensors::open(kFolder / GetParam()));
  ThreadTeam team(2);
  Arena arena;
  Context c{team, arena};
  Tensor both = model->hidden(c, golden.ids, std::vector<int32_t>{60, 30});
  EXPECT_LE(difference(std::span(both.data, static_cast<size_t>(both.size())), golden.out), 1e-5f);
  Tensor second = model->hidden(c, std::span(golden.ids).subspan(60), std::vector<int32_t>{30});
  EXPECT_EQ(std::memcmp(second.data, both.row(60), static_cast<size_t>(second.size()) * sizeof(float)), 0);
}

TEST_P(Encoder, TheSameBitsFromTheGgufThatWeWrite) {
  const Golden golden(GetParam());
  const auto model = Bert::load(HfConfig::open(kFolder / GetParam() / "config.json"), Safetensors::open(kFolder / GetParam()));
  GgufWriter writer;
  model->write(writer, 60);
  const std::string bytes = writer.bytes();
  const auto again = Bert::load(Gguf::parse(std::as_bytes(std::span(bytes)), "again"));
  EXPECT_EQ(again->config().context(), 60);
  ThreadTeam team(2);
  Arena arena;
  const Context c{team, arena};
  const std::vector<int32_t> lengths{60, 30};
  const Tensor expected = model->hidden(c, golden.ids, lengths), found = again->hidden(c, golden.ids, lengths);
  EXPECT_EQ(std::memcmp(found.data, expected.data, static_cast<size_t>(expected.size()) * sizeof(float)), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Encoder, testing::Values("bert", "roberta", "camembert", "xlm_roberta"), [](const auto& info) { return std::string(info.param); });

TEST(BrokenFolder, IsRefusedWithTheTensorOrTheKey) {
  auto with = [](const std::string& name, std::string from, std::string to) {
    std::string text = read_file(kFolder / name / "config.json");
    const size_t at = text.find(from);
    if (at == std::string::npos) return "the golden's config.json has no " + from;
    text.replace(at, from.size(), to);
    return refusal_of([&] { Llama::load(HfConfig::parse(text, "config.json"), Safetensors::open(kFolder / name)); });
  };
  EXPECT_THAT(with("qwen3", "\"hidden_size\": 24", "\"hidden_size\": 32"), testing::HasSubstr("model.embed_tokens.weight has shape [48, 24], expected [48, 32]"));
  EXPECT_THAT(with("qwen3", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"), testing::HasSubstr("3"));
  EXPECT_THAT(with("qwen3", "\"qwen3\"", "\"qwen9\""), testing::HasSubstr("\"qwen9\""));
  EXPECT_THAT(with("qwen3", "\"num_attention_heads\": 2", "\"num_attention_heads\": -2"), testing::HasSubstr("num_attention_heads is -2, expected 1 to 1024"));
  EXPECT_THAT(with("qwen3", "\"hidden_size\": 24", "\"hidden_size\": \"24\""), testing::HasSubstr("hidden_size: expected an integer, found string"));
  EXPECT_THAT(with("llama_yarn", "\"yarn\"", "\"unheard\""), testing::HasSubstr("\"unheard\" is not known"));
  EXPECT_THAT(with("gemma3", "\"num_key_value_heads\": 1", "\"num_key_value_heads\": 3"), testing::HasSubstr("num_key_value_heads is 3, expected 1 to 2"));
  EXPECT_THAT(with("gemma3", "\"full_attention\"", "\"half_attention\""), testing::HasSubstr("half_attention"));
  EXPECT_THAT(refusal_of([] { HfConfig::parse("[1, 2", "config.json"); }), testing::HasSubstr("config.json: not a JSON object"));

  const fs::path folder = fs::path(testing::TempDir()) / "ingot_broken_folder";
  fs::remove_all(folder);
  fs::copy(kFolder / "llama3", folder);
  const auto open = [&] { return refusal_of([&] { Llama::load(HfConfig::open(folder / "config.json"), Safetensors::open(folder)); }); };
  EXPECT_EQ(open(), "accepted");
  fs::path shard;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("model-00002")) shard = entry.path();
  ASSERT_FALSE(shard.empty());
  const std::string bytes = read_file(shard);
  write_file(shard, bytes.substr(0, bytes.size() - 100));
  EXPECT_THAT(open(), testing::HasSubstr("model-00002"));
  fs::remove(shard);
  EXPECT_THAT(open(), testing::HasSubstr("the shard " + shard.filename().string() + " is missing, which holds tensor "));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ingot
