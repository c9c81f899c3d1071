#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "core/error.h"

namespace ingot {
namespace {

const std::string kData = std::string(INGOT_TEST_DATA) + "/formats/data";

std::string file_of(const std::string& header, size_t data) {
  std::string bytes(8, '\0');
  const uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + std::string(data, '\1');
}

void refuses(const std::string& bytes, const std::string& words) {
  try {
    Safetensors::parse(std::as_bytes(std::span(bytes)), "hostile");
    ADD_FAILURE() << "read: " << bytes.substr(8);
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(Safetensors, ReadsWhatTheReferenceWrote) {
  auto model = Safetensors::open(kData + "/tiny.safetensors");
  const int64_t shape[] = {2, 3};
  const std::vector<float> exact{1.5f, -2.0f, 0.25f, 1e-3f, 65504.0f, -0.0f};
  EXPECT_EQ(model->floats("f32", shape), exact);
  auto half = model->floats("f16", shape), brain = model->floats("bf16", shape);
  for (size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(half[i], f32_of_f16(f16_of_f32(exact[i])));
    EXPECT_EQ(brain[i], f32_of_bf16(bf16_of_f32(exact[i])));
  }
  EXPECT_EQ(model->floats("scalar", {}), std::vector<float>{7.0f});
  EXPECT_EQ(model->find("ids")->dtype, "I64");
  EXPECT_FALSE(model->find("ids")->type);
  EXPECT_EQ(model->metadata().at("format"), "pt");
  const int64_t other[] = {3, 2}, five[] = {5};
  EXPECT_THROW(model->floats("f32", other), Error);
  EXPECT_THROW(model->floats("ids", five), Error);
  EXPECT_THROW(model->floats("absent", other), Error);
}

TEST(Safetensors, ReadsShards) {
  auto model = Safetensors::open(kData + "/sharded");
  const int64_t shape[] = {2, 3};
  EXPECT_EQ(model->floats("a", shape)[0], 1.5f);
  EXPECT_EQ(model->floats("b", shape)[0], 3.0f);
  EXPECT_EQ(model->tensors().size(), 2u);
}

TEST(Safetensors, NamesAShardThatIsMissingAndATensorThatItHolds) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "ingot_missing_shard";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(kData + "/sharded", folder);
  std::string shard;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().find("00002-of") != std::string::npos) shard = entry.path().filename();
  ASSERT_FALSE(shard.empty());
  std::filesystem::remove(folder / shard);
  try {
    Safetensors::open(folder);
    ADD_FAILURE() << "read without " << shard;
  } catch (const Error& error) {
    EXPECT_EQ(error.problem, "the shard " + shard + " is missing, which holds tensor b");
    EXPECT_EQ(error.where, (folder / shard).string());
  }
  std::filesystem::remove_all(folder);
}

TEST(Safetensors, RefusesHostileHeaders) {
  refuses("", "expected at least 8");
  refuses(std::string(8, '\xff'), "the header claims");
  refuses(file_of("[]", 0), "no JSON object");
  refuses(file_of("{\"a\":", 0), "no JSON object");
  refuses(file_of(std::string(100000, '['), 0), "no JSON object");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "tensor a: expected dtype");
  refuses(file_of(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4), "F33");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4), "expected 8 bytes, found 4");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "no count");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4), "no count");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4), "lies at");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,0]}})", 4), "lies at");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4), "lies at");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4), "impossible dimension");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[4294967296,0,4294967296],"data_offsets":[0,0]}})", 4), "the tensors end at 0");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4), "expected 4");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8), "expected 0");
  refuses(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8), "the tensors end at 4");
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string bytes = read_file(kData + "/tiny.safetensors");
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_THROW(Safetensors::parse(std::as_bytes(std::span(bytes).first(n)), "cut"), Error) << n;
}

TEST(Safetensors, SurvivesEveryChangedByteOfTheHeader) {
  std::string bytes = read_file(kData + "/tiny.safetensors");
  for (size_t n = 0; n < std::min<size_t>(bytes.size(), 400); ++n)
    for (char change : {'\x01', '\x10', '\x80'}) {
      bytes[n] = static_cast<char>(bytes[n] ^ change);
      try {
        Safetensors::parse(std::as_bytes(std::span(bytes)), "changed");
      } catch (const Error&) {
      }
      bytes[n] = static_cast<char>(bytes[n] ^ change);
    }
}

}  // namespace
}  // namespace ingot
