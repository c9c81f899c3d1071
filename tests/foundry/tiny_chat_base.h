// A tiny language model that converses, made on the spot: random weights, a tokenizer of few words, a template.
#pragma once

#include <filesystem>
#include <string>

#include "formats/gguf.h"
#include "models/llama/llama.h"
#include "text/tokenizer.h"

namespace ingot::harness {

inline void write_tiny_chat_base(const std::filesystem::path& path) {
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
  out.write(path);
}

}  // namespace ingot::harness
