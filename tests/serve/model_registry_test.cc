// Models come and go within the memory budget; versions of an AI replace each other under requests that are under way.
#include "serve/model_registry.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "foundry/ai.h"
#include "runtime/engine.h"
#include "serve/refusal.h"

namespace ingot {
namespace {

std::filesystem::path base() { return share_dir() / "models" / "ingot-base.gguf"; }

int refused(ModelRegistry& models, const std::string& name) {
  try {
    models.acquire(name);
    return 200;
  } catch (const Refusal& refusal) {
    return refusal.status;
  }
}

TEST(ModelRegistry, TheLeastRecentlyUsedLeavesUnlessItAnswers) {
  RegistryOptions options;
  options.cache_bytes = 16 << 20;
  options.memory_bytes = 2 * (options.cache_bytes + static_cast<int64_t>(std::filesystem::file_size(base()))) + 1000;
  ModelRegistry models(options);
  for (const char* name : {"a", "b", "c"}) models.add(std::string(name) + "=" + base().string());
  EXPECT_THROW(models.add("a=" + base().string()), Error);
  EXPECT_THROW(models.add("no-such-model"), Error);
  const auto loaded = [&] {
    std::string names;
    for (const auto& one : models.list())
      if (one.loaded) names += one.name;
    return names;
  };
  EXPECT_EQ(loaded(), "");  // nothing before it is asked for
  auto a = models.acquire("a");
  models.acquire("b");
  EXPECT_EQ(loaded(), "ab");
  models.acquire("c");  // b leaves, for a is in use though it is older
  EXPECT_EQ(loaded(), "ac");
  auto c = models.acquire("c");
  EXPECT_EQ(refused(models, "b"), 503);
  Generation generation;
  generation.prompt = a->engine->tokenizer().encode("The kernel");
  generation.limit = 4;
  EXPECT_EQ(a->engine->generate(generation).tokens.size(), 4u);
  a.reset();
  EXPECT_EQ(refused(models, "b"), 200);
  EXPECT_EQ(loaded(), "bc");
  EXPECT_EQ(refused(models, "d"), 404);
  EXPECT_EQ(models.acquire("")->name, "a");  // the first
}

TEST(ModelRegistry, RefusesWhatNeverFits) {
  RegistryOptions options;
  options.memory_bytes = 1 << 20;
  ModelRegistry models(options);
  models.add(base().string());
  EXPECT_EQ(refused(models, "ingot-base"), 503);
}

std::shared_ptr<const Ai> triage_ai(const std::string& first) {
  std::vector<Record> records;
  for (int i = 0; i < 60; ++i) {
    Record record;
    const std::string who = i % 2 ? first : "other";
    record.id = std::to_string(i), record.engineer = who, record.component = "part", record.time = i;
    record.text = "word " + who + " crash " + std::to_string(i % 5);
    records.push_back(record);
  }
  ArchiveWriter writer;
  writer.describe("triage", "bugs");
  writer.add("triage.bin", TriageModel::train(records, {}).save());
  const auto file = std::filesystem::path(testing::TempDir()) / ("registry_" + first + std::to_string(getpid()));
  writer.write(file);
  auto ai = Ai::open(file);
  std::filesystem::remove(file);
  return ai;
}

TEST(ModelRegistry, VersionsReplaceEachOtherAndGoBack) {
  ModelRegistry models(RegistryOptions{});
  const auto first = triage_ai("ann"), second = triage_ai("bob");
  models.add(first);
  const auto held = models.acquire("bugs");
  models.replace("bugs", second);
  EXPECT_EQ(models.acquire("bugs")->hash, second->hash());
  EXPECT_EQ(held->hash, first->hash());  // a request under way keeps its own
  EXPECT_TRUE(models.roll_back("bugs"));
  EXPECT_EQ(models.acquire("bugs")->hash, first->hash());
  EXPECT_FALSE(models.roll_back("bugs"));
}

}  // namespace
}  // namespace ingot
