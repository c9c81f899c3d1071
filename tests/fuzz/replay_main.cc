// Runs each fuzz target over its corpus, and over small fixed damage to it, as ordinary tests: no clang needed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/random.h"
#include "foundry/classify/text_classifier.h"
#include "foundry/triage/triage_model.h"
#include "guard/rails.h"

#define FUZZ_TARGET(name) extern "C" int fuzz_##name(const uint8_t* data, size_t size);
#include "fuzz_targets.inc"
#undef FUZZ_TARGET

namespace ingot {
namespace {

namespace fs = std::filesystem;
using Target = int (*)(const uint8_t*, size_t);

// On the heap at its exact size, so that a sanitizer sees a read past the end.
void feed(Target target, const std::string& bytes) {
  std::vector<uint8_t> exact(bytes.begin(), bytes.end());
  exact.shrink_to_fit();
  target(exact.data(), exact.size());
}

std::vector<std::string> corpus(const std::string& name) {
  std::vector<fs::path> files;
  fs::path folder = fs::path(INGOT_TEST_DATA) / "fuzz" / "corpus" / name;
  std::error_code error;
  for (auto& entry : fs::directory_iterator(folder, error)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> inputs{""};
  for (auto& file : files) inputs.push_back(read_file(file));
  return inputs;
}

// A few bytes changed, a piece cut out or doubled, or the end cut off.
std::string damage(std::string bytes, Random& random) {
  if (bytes.empty()) return bytes;
  size_t at = random.below(bytes.size());
  size_t length = 1 + random.below(std::min<size_t>(64, bytes.size() - at));
  switch (random.below(5)) {
    case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8))); break;
    case 1:
      for (size_t i = 0; i < length; ++i) bytes[at + i] = static_cast<char>(random.below(256));
      break;
    case 2: bytes.erase(at, length); break;
    case 3: bytes.insert(at, bytes.substr(at, length)); break;
    default: bytes.resize(at);
  }
  return bytes;
}

class Replay : public testing::Test {
 public:
  Replay(std::string name, Target target) : name_(std::move(name)), target_(target) {}
  void TestBody() override {
    Random random(1);
    for (const std::string& input : corpus(name_)) {
      feed(target_, input);
      size_t rounds = std::clamp<size_t>((size_t{1} << 22) / (input.size() + 1), 20, 300);  // a bounded time a file
      for (size_t i = 0; i < rounds; ++i) feed(target_, damage(input, random));
    }
  }

 private:
  std::string name_;
  Target target_;
};

void register_target(const std::string& name, Target target) {
  testing::RegisterTest("Fuzz", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [=]() -> testing::Test* { return new Replay(name, target); });
}

// A reader that refuses a seed by its version is not replayed beyond it: who changes a format writes the seeds anew (README).
TEST(Seeds, OfOurOwnFormatsAreRead) {
  const auto read = [](const std::string& name) { return read_file(fs::path(INGOT_TEST_DATA) / "fuzz/corpus" / name); };
  const std::string triage = read("triage_model/small.bin"), labels = read("text_classifier/small.bin"), rails = read("text_classifier/rails.bin");
  const auto bytes = [](const std::string& text) { return std::as_bytes(std::span(text)); };
  EXPECT_EQ(TriageModel::load(bytes(triage)).components().size(), 3u);
  EXPECT_FALSE(TextClassifier::load(bytes(labels), nullptr).classify("w0").empty());
  EXPECT_FALSE(Rails::load(bytes(rails), {}).check("a secret7").allowed);
}

}  // namespace
}  // namespace ingot

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
#define FUZZ_TARGET(name) ingot::register_target(#name, fuzz_##name);
#include "fuzz_targets.inc"
  return RUN_ALL_TESTS();
}
