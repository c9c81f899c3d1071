// Models come and go within the memory budget; versions of an AI replace each other under requests that are under way.
#include "serve/model_registry.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "foundry/ai.h"
#include "foundry/chat/chat_ai.h"
#include "runtime/engine.h"
#include "models/llama/lora.h"
#include "serve/refusal.h"
#include "chat_files.h"
#include "running_service.h"

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
  options.memory_bytes = 2 * (options.cache_bytes + static_cast<int64_t>(std::filesystem::file_size(base()))) + 10000;
  ModelRegistry models(options);
  for (const char* name : {"a", "b", "c"}) models.add(std::string(name) + "=" + harness::described_model(name, {{"general.name", GgufValue::text(name)}}));
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

std::string cut_base(const std::string& name) {
  const auto file = std::filesystem::path(::testing::TempDir()) / (name + std::to_string(getpid()) + ".gguf");
  write_file(file, MappedFile(base()).text().substr(0, 3000000));
  return file.string();
}

TEST(ModelRegistry, ABrokenFileIsToldWhenItIsAdded) {
  const std::string cut = cut_base("registry_cut_"), bad_adapter = ::testing::TempDir() + "registry_adapter_" + std::to_string(getpid()) + ".gguf";
  write_file(bad_adapter, "GGUF, says only its name");
  const auto problem = [](const std::string& what, const std::string& draft = "") -> std::string {
    try {
      RegistryOptions options;
      options.draft = draft.empty() ? 0 : 4;
      options.draft_model = draft;
      ModelRegistry(options).add(what);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::input) << what;
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(problem(base().string()), "");
  EXPECT_NE(problem(cut).find(cut), std::string::npos) << problem(cut);
  EXPECT_NE(problem(base().string() + "+" + bad_adapter).find(bad_adapter), std::string::npos);
  EXPECT_NE(problem(base().string(), cut).find(cut), std::string::npos);
  for (const std::string& file : {cut, bad_adapter}) std::filesystem::remove(file);
}

// Who asks cannot help it: the answer is the server's fault, and its log says where.
TEST(ModelRegistry, AFileThatBreaksLaterIsNoFaultOfTheRequest) {
  const std::string file = harness::described_model("breaks", {{"general.name", GgufValue::text("breaks")}});
  harness::RunningService service({"m=" + file});
  ASSERT_NE(service.port(), 0);
  std::filesystem::rename(cut_base("registry_breaks_"), file);
  const auto openai = service.ask("/v1/completions", {{"model", "m"}, {"prompt", "The"}}, 500);
  EXPECT_EQ(openai["error"]["type"], "server_error");
  EXPECT_EQ(openai["error"]["code"], "model_broken");
  EXPECT_TRUE(openai["error"]["message"].get<std::string>().starts_with("\"m\" cannot be loaded: ")) << openai;
  const auto reloaded = service.ask("/v1/reload", nlohmann::json::object(), 409);  // a plain model has no versions
  EXPECT_EQ(reloaded["failed"][0]["model"], "m");
  EXPECT_NE(reloaded["failed"][0]["reason"].get<std::string>().find("restart the service"), std::string::npos) << reloaded;
  const auto anthropic = service.ask("/v1/messages", {{"model", "m"}, {"max_tokens", 4}, {"messages", {{{"role", "user"}, {"content", "hi"}}}}}, 500);
  EXPECT_EQ(anthropic["error"]["type"], "api_error");
  harness::RunningService again({"m=" + file});
  EXPECT_EQ(again.port(), 0);
  EXPECT_EQ(again.wait(), 3);
  std::filesystem::remove(file);
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
  const auto file = std::filesystem::path(::testing::TempDir()) / ("registry_" + first + std::to_string(getpid()));
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

Generation asked(const ServedModel& model) {
  Generation g;
  g.prompt = model.engine->tokenizer().encode("what is the colour");
  g.limit = 12;
  g.ignore_end = true;
  g.adapter = model.adapter;
  return g;
}

std::vector<int32_t> said(const ServedModel& model) {
  std::vector<int32_t> ids;
  for (const GeneratedToken& token : model.engine->generate(asked(model)).tokens) ids.push_back(token.id);
  return ids;
}

RegistryOptions small_caches() {
  RegistryOptions options;
  options.cache_bytes = 1 << 20;
  return options;
}

// Twenty AIs and their base as a plain model: one engine, one cache, and each says its own, alone and all at once.
TEST(ModelRegistry, AisOverOneBaseShareIt) {
  const harness::ChatFiles files("registry_shared");
  ModelRegistry models(small_caches());
  std::vector<std::string> names;
  for (uint64_t i = 0; i < 20; ++i) {
    names.push_back("ai" + std::to_string(i));
    models.add(files.ai(names.back(), i + 1));
  }
  models.add("plain=" + files.base().string());
  names.push_back("plain");
  std::vector<std::shared_ptr<const ServedModel>> held;
  std::vector<std::vector<int32_t>> alone;
  for (const std::string& name : names) {
    held.push_back(models.acquire(name));
    EXPECT_EQ(held.back()->engine, held.front()->engine);
    alone.push_back(said(*held.back()));
  }
  EXPECT_EQ(held.front()->system, "be brief");
  EXPECT_EQ(held.front()->answer_tokens, 24);
  EXPECT_EQ(held.back()->adapter, nullptr);
  size_t different = 0;
  for (size_t i = 0; i < names.size(); ++i)
    for (size_t k = 0; k < i; ++k) different += alone[i] != alone[k];
  EXPECT_GT(different, names.size() * (names.size() - 1) / 2 * 9 / 10);
  std::vector<std::vector<int32_t>> together(names.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < names.size(); ++i) threads.emplace_back([&, i] { together[i] = said(*held[i]); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(together, alone);
}

// A model and two adapters over it, none of them packed: one engine, counted once.
TEST(ModelRegistry, AModelAndItsAdaptersShareIt) {
  const harness::ChatFiles files("registry_adapters");
  std::vector<std::string> adapters;
  for (uint64_t i = 1; i < 3; ++i) {
    const auto archive = Ai::open(files.ai("packed" + std::to_string(i), i))->shared_archive();
    const AdapterMembers members = adapter_of(*archive);
    const auto folder = files.folder() / ("adapter" + std::to_string(i));
    std::filesystem::create_directories(folder);
    write_file(folder / "adapter_config.json", std::string(members.config_json));
    write_file(folder / "adapter_model.safetensors", std::string(reinterpret_cast<const char*>(members.safetensors.data()), members.safetensors.size()));
    adapters.push_back(folder.string());
  }
  RegistryOptions options = small_caches();
  const auto size = [](const std::filesystem::path& file) { return static_cast<int64_t>(std::filesystem::file_size(file)); };
  options.memory_bytes = options.cache_bytes + size(files.base()) + 2 * size(adapters[0] + "/adapter_model.safetensors") + 5000;
  ModelRegistry models(options);
  models.add("plain=" + files.base().string());
  models.add("one=" + files.base().string() + "+" + adapters[0]);
  models.add(files.base().string() + "+" + adapters[1]);  // named after its folder
  EXPECT_THROW(models.add(files.ai("packed3", 3) + "+" + adapters[0]), Error);
  EXPECT_THROW(models.add("two=" + files.base().string() + "+" + files.folder().string() + "/none"), Error);
  const auto plain = models.acquire("plain"), one = models.acquire("one"), other = models.acquire("adapter2");
  EXPECT_EQ(plain->engine, one->engine);
  EXPECT_EQ(plain->engine, other->engine);
  EXPECT_EQ(plain->adapter, nullptr);
  EXPECT_NE(said(*plain), said(*one));
  EXPECT_NE(said(*one), said(*other));
  EXPECT_NE(plain->hash, one->hash);
  EXPECT_NE(one->hash, other->hash);
}

// The budget counts a base once; an adapter that leaves takes no base with it.
TEST(ModelRegistry, OneBaseIsCountedOnce) {
  const harness::ChatFiles files("registry_budget");
  RegistryOptions options = small_caches();
  const auto size = [](const std::string& file) { return static_cast<int64_t>(std::filesystem::file_size(file)); };
  const std::string a = files.ai("a", 1), b = files.ai("b", 2), c = files.ai("c", 3);
  options.memory_bytes = options.cache_bytes + size(files.base().string()) + 2 * size(a) + 1000;
  ModelRegistry models(options);
  for (const std::string& file : {a, b, c}) models.add(file);
  const auto loaded = [&] {
    std::string names;
    for (const auto& one : models.list())
      if (one.loaded) names += one.name;
    return names;
  };
  EXPECT_EQ(loaded(), "");  // nothing before it is asked for
  const auto engine = models.acquire("a")->engine.get();
  EXPECT_EQ(models.acquire("b")->engine.get(), engine);
  EXPECT_EQ(loaded(), "ab");
  EXPECT_EQ(models.acquire("c")->engine.get(), engine);
  EXPECT_EQ(loaded(), "bc");
  const auto hold_b = models.acquire("b"), hold_c = models.acquire("c");
  EXPECT_EQ(refused(models, "a"), 503);
}

// A new version answers from the next request on; one that is under way ends with its own; and back.
TEST(ModelRegistry, ChatVersionsReplaceEachOtherUnderWay) {
  const harness::ChatFiles files("registry_versions");
  ModelRegistry models(small_caches());
  models.add(files.ai("talk", 1));
  const auto second = Ai::open(files.ai("talk", 2, "next"));
  const auto before = models.acquire("talk");
  const auto first_words = said(*before);
  std::vector<int32_t> under_way;
  std::thread running([&] { under_way = said(*before); });
  models.replace("talk", second);
  const auto after = models.acquire("talk");
  EXPECT_EQ(after->hash, second->hash());
  EXPECT_EQ(after->engine, before->engine);
  EXPECT_NE(said(*after), first_words);
  running.join();
  EXPECT_EQ(under_way, first_words);
  EXPECT_TRUE(models.roll_back("talk"));
  EXPECT_EQ(said(*models.acquire("talk")), first_words);
}

}  // namespace
}  // namespace ingot
