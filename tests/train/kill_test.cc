// A training that is killed again and again, at any moment, ends on the same bits as one that was left alone.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "core/files.h"
#include "core/random.h"
#include "models/llama/llama.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

// Exit code, or -1 if it was killed after `milliseconds` (below 0: never).
int run(const std::vector<std::string>& arguments, int milliseconds) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> list;
    for (const std::string& one : arguments) list.push_back(const_cast<char*>(one.c_str()));
    list.push_back(nullptr);
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(126);
    execv(list[0], list.data());
    _exit(127);
  }
  int status = 0;
  for (int waited = 0;; ++waited) {
    if (waitpid(child, &status, WNOHANG) == child) return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (waited == milliseconds) kill(child, SIGKILL);
    usleep(1000);
  }
}

TEST(Kill, TuningResumesToTheSameBits) {
  const auto folder = fs::path(testing::TempDir()) / "ingot_kill";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const std::string_view texts[] = {"what is the colour of the sky and of the sea it is blue red green"};
  const std::string specials[] = {"<|endoftext|>", "<|im_end|>"};
  auto tokenizer = std::const_pointer_cast<Tokenizer>(train_tokenizer(texts, 290, PreTokenizer::kGpt2, specials));
  tokenizer->eos = 1;
  tokenizer->chat_template = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
  LlamaConfig c;
  c.vocab = tokenizer->size(), c.width = 32, c.layers = 2, c.heads = 2, c.groups = 1, c.head_size = c.rope_dims = 16, c.hidden = 64, c.context = 256;
  GgufWriter out;
  Llama::random(c, 7)->write(out, ElementType::kQ8_0, ElementType::kQ8_0);
  tokenizer->to_gguf(out);
  out.write(folder / "base.gguf");
  std::ofstream data(folder / "talk.jsonl");
  for (int i = 0; i < 60; ++i) data << "{\"prompt\": \"what is the colour of " << i << "\", \"completion\": \"it is " << (i % 3 ? "blue" : "red") << " " << i << "\"}\n";
  data.close();
  auto command = [&](const char* output) {
    return std::vector<std::string>{INGOT_BINARY, "tune", (folder / "base.gguf").string(), (folder / "talk.jsonl").string(), "-o", (folder / output).string(), "--rank", "2", "--batch", "4",
                                    "--steps", "120", "--rate", "0.01", "--save-every", "1"};
  };
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(run(command("whole"), -1), 0);
  const double whole = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  Random random(5);
  int killed = 0;
  for (double share = 0.1;; share += 0.03) {  // of what the whole takes here; longer each time, so that it ends on any machine
    const int code = run(command("killed"), static_cast<int>(whole * (share + 0.1 * random.uniform())));
    if (code == 0) break;
    ASSERT_EQ(code, -1);
    ++killed;
  }
  EXPECT_GT(killed, 1);
  EXPECT_EQ(read_file(folder / "whole/adapter_model.safetensors"), read_file(folder / "killed/adapter_model.safetensors"));
  EXPECT_EQ(read_file(folder / "whole/adapter_config.json"), read_file(folder / "killed/adapter_config.json"));
  EXPECT_FALSE(fs::exists(folder / "killed/training.state"));
}

}  // namespace
}  // namespace ingot
