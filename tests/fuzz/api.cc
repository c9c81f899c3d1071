// Bodies of requests to a small language model, on every route that reads one: always one answer, never a fault.
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/progress.h"
#include "models/llama/llama.h"
#include "serve/api_route.h"
#include "serve/service.h"
#include "text/tokenizer.h"

namespace {

using namespace ingot;

class Asked : public HttpExchange {
 public:
  explicit Asked(HttpRequest request) : request_(std::move(request)) {}
  const HttpRequest& request() const override { return request_; }
  void send(int status, std::string_view, std::string_view, const HttpHeaders&) override {
    if (status >= 500 || begun_) std::abort();
    begun_ = finished_ = true;
  }
  void begin(int, std::string_view, const HttpHeaders&) override {
    if (begun_) std::abort();
    begun_ = true;
  }
  bool write(std::string_view) override { return !finished_ || (std::abort(), false); }
  void finish() override { finished_ = true; }
  bool gone() const override { return false; }
  bool begun() const override { return begun_; }
  bool finished() const { return finished_; }

 private:
  HttpRequest request_;
  bool begun_ = false, finished_ = false;
};

Service& service() {
  static Service* made = [] {
    const std::vector<std::string_view> texts{"the user asks and the assistant answers in words", "a tool is called with arguments"};
    const std::vector<std::string> specials{"<|end|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"};
    const auto made_tokenizer = std::const_pointer_cast<Tokenizer>(train_tokenizer(texts, 300, PreTokenizer::kGpt2, specials));
    Tokenizer& tokenizer = *made_tokenizer;
    tokenizer.eos = 0;
    tokenizer.chat_template = "{% if tools %}{{ tools | tojson }}<tool_call>{% endif %}{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}assistant:";
    LlamaConfig config;
    config.vocab = tokenizer.size(), config.width = 32, config.layers = 1, config.heads = 2, config.groups = 1, config.head_size = 16, config.hidden = 32;
    config.context = 512, config.rope_dims = 16;
    GgufWriter writer;
    Llama::random(config, 1)->write(writer, ElementType::kF32, ElementType::kF32);
    tokenizer.to_gguf(writer);
    const auto file = std::filesystem::temp_directory_path() / ("ingot_fuzz_api_" + std::to_string(getpid()) + ".gguf");
    writer.write(file);
    RegistryOptions options;
    options.cache_bytes = 4 << 20;
    auto models = std::make_unique<ModelRegistry>(options);
    models->add("m=" + file.string());
    models->acquire("m");
    std::filesystem::remove(file);
    return new Service(std::move(models), std::make_unique<LoopbackAccess>(), {"", 0, 4});
  }();
  return *made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  set_progress_style(ProgressStyle::silent);
  static constexpr std::array paths{"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings",
                                    "/v1/rerank", "/score", "/tokenize", "/detokenize", "/infill"};
  if (size == 0) return 0;
  HttpRequest request;
  request.method = "POST";
  request.path = paths[data[0] % paths.size()];
  request.body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto asked = std::make_shared<Asked>(std::move(request));
  service().handle(asked);
  if (!asked->finished()) std::abort();
  return 0;
}
