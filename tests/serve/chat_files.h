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
#include "guard/rails.h"
#include "models/llama/llama.h"
#include "text/tokenizer.h"
#include "train/lora.h"

namespace ingot::harness {

class ChatFiles {
 public:
  explicit ChatFiles(const std::string& name) : folder_(std::filesystem::path(::testing::TempDir()) / (name + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    const std::string text = "what is the colour of the sky and of the sea it is blue red green stone number where does it go home away";
    const std::string_view texts[] = {text};
    const std::string specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    auto tokenizer = std::const_pointer_cast<Tokenizer>(train_tokenizer(texts, 300, PreTokenizer::kGpt2, specials));
    tokenizer->eos = 2;
    tokenizer->chat_template =
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    LlamaConfig c;
    c.vocab = tokenizer->size(), c.width = 32, c.layers = 2, c.heads = 2, c.groups = 1, c.head_size = c.rope_dims = 16, c.hidden = 64, c.context = 256;
    GgufWriter out;
    auto model = Llama::random(c, 7);
    Weight* table = model->weights()[0];  // as large as a trained one, so that an adapter alone can say something
    for (int64_t i = 0; i < table->size(); ++i) const_cast<float*>(table->f32())[i] *= 20;
    model->write(out, ElementType::kQ8_0, ElementType::kQ8_0);
    tokenizer->to_gguf(out);
    out.write(base());
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
