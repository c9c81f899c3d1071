// Chat AIs over one tiny base, made here: each an .ingot file with an adapter of its own that says something else.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "core/random.h"
#include "formats/archive.h"
#include "foundry/chat/shared_base.h"
#include "foundry/tiny_chat_base.h"
#include "guard/rails.h"
#include "models/llama/llama.h"
#include "text/tokenizer.h"
#include "train/lora.h"

namespace ingot::harness {

class ChatFiles {
 public:
  explicit ChatFiles(const std::string& name) : folder_(std::filesystem::path(::testing::TempDir()) / (name + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    write_tiny_chat_base(base());
  }
  ~ChatFiles() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path base() const { return folder_ / "base.gguf"; }
  std::filesystem::path folder() const { return folder_; }
  // seed decides what it says.
  std::string ai(const std::string& name, uint64_t seed, const std::string& file = "", const Rails* rails = nullptr) const {
    const auto base_model = open_shared_base(base().string());
    LoraPlan plan;
    plan.rank = 4;
    plan.seed = seed;
    auto lora = Lora::create(*base_model->model, plan);
    Random random(seed);
    for (Weight* w : lora->weights())
      for (int64_t i = 0; i < w->size(); ++i) const_cast<float*>(w->f32())[i] = static_cast<float>(random.uniform() - 0.5);
    ArchiveWriter writer;
    writer.describe("chat", name);
    writer.add("report.json", "{}");
    writer.add("chat.json", R"({"system": "be brief", "max_tokens": 24})");
    writer.add("base.json", base_reference(*base_model));
    writer.add("adapter/adapter_config.json", lora->config_json("base"));
    writer.add("adapter/adapter_model.safetensors", lora->safetensors());
    if (rails) writer.add("guard.bin", rails->save());
    const auto path = folder_ / ((file.empty() ? name : file) + ".ingot");
    writer.write(path);
    return path.string();
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace ingot::harness
