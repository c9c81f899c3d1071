// The committed base model is the one its card names, and still predicts technical English better than a compressor does.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>

#include "core/files.h"
#include "core/sha256.h"
#include "runtime/open_model.h"
#include "train/pretrain.h"

namespace ingot {
namespace {

TEST(BaseModel, IsTheOneOfItsCard) {
  auto path = share_dir() / "models/ingot-base.gguf";
  std::string bytes = read_file(path);
  EXPECT_LE(bytes.size(), 12u << 20);
  EXPECT_NE(read_file(share_dir() / "models/ingot-base.md").find(hex(sha256(bytes))), std::string::npos);
}

TEST(BaseModel, PredictsBetterThanZlibCompresses) {
  auto language = open_model("ingot-base");
  std::string text = read_file(share_dir() / "docs/architecture.md") + read_file(share_dir() / "CONTRIBUTING.md");
  std::vector<uint16_t> tokens;
  for (int32_t id : language.tokenizer->encode(text)) tokens.push_back(static_cast<uint16_t>(id));
  double nats = mean_loss(*language.model, tokens, 512, default_team());
  double ours = nats * static_cast<double>(tokens.size()) / std::log(2.0) / static_cast<double>(text.size());
  std::vector<Bytef> out(compressBound(text.size()));
  uLongf size = out.size();
  ASSERT_EQ(compress2(out.data(), &size, reinterpret_cast<const Bytef*>(text.data()), text.size(), 9), Z_OK);
  double zlib = 8.0 * static_cast<double>(size) / static_cast<double>(text.size());
  RecordProperty("bits_per_byte", std::to_string(ours));
  EXPECT_LT(ours, 0.75 * zlib) << ours << " against " << zlib;
}

}  // namespace
}  // namespace ingot
