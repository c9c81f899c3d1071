// `ingot serve` as a process of its own, over ingot-base: as it is, and with a chat template so that it can be talked with (it was not
// made to converse; the tests look at the shapes, not at the sense).
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "../net/http_client.h"
#include "core/files.h"
#include "formats/gguf.h"

namespace ingot::harness {

using Json = nlohmann::ordered_json;

// ingot-base with more metadata, as FILE_PID.gguf in the folder for tests.
inline std::string described_model(const std::string& name, const std::vector<std::pair<std::string, GgufValue>>& more) {
  const auto from = Gguf::open(share_dir() / "models" / "ingot-base.gguf");
  GgufWriter writer;
  for (const auto& [key, value] : from->metadata()) writer.set(key, value);
  for (const auto& [key, value] : more) writer.set(key, value);
  for (const GgufTensor& t : from->tensors()) writer.add(t.name, t.shape, t.type, t.data);
  const auto file = std::filesystem::path(::testing::TempDir()) / (name + "_" + std::to_string(getpid()) + ".gguf");
  writer.write(file);
  return file.string();
}

// ingot-base with a template of the Hermes kind.
inline std::string talking_model() {
  static const std::string made = described_model("talker", {{"tokenizer.chat_template", GgufValue::text("{% if tools %}<tools>{{ tools | tojson }}</tools> <tool_call>\n{% endif %}{% for m in messages %}"
                                                                                                        "{{ m.role }}: {{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}\n{% endfor %}"
                                                                                                        "{% if add_generation_prompt %}assistant:{% endif %}")}});
  return made;
}

struct Event {
  std::string name;
  Json data;
};

// The events of a stream's body; "[DONE]" comes as a JSON text.
inline std::vector<Event> events_of(const std::string& body) {
  std::vector<Event> events;
  for (size_t at = 0; at < body.size();) {
    const size_t end = body.find("\n\n", at);
    Event event;
    std::string block = body.substr(at, end - at);
    if (const size_t name = block.find("event: "); name == 0) {
      event.name = block.substr(7, block.find('\n') - 7);
      block = block.substr(block.find('\n') + 1);
    }
    EXPECT_TRUE(block.starts_with("data: ")) << block;
    const std::string data = block.substr(6);
    event.data = data == "[DONE]" ? Json("[DONE]") : Json::parse(data);
    events.push_back(std::move(event));
    at = end == std::string::npos ? body.size() : end + 2;
  }
  return events;
}

class RunningService {
 public:
  explicit RunningService(const std::vector<std::string>& arguments) {
    int pipes[2];
    if (pipe(pipes) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(pipes[1], 1);
      close(pipes[0]);
      close(pipes[1]);
      std::freopen("/dev/null", "w", stderr);
      std::vector<std::string> words{INGOT_BINARY, "serve"};
      words.insert(words.end(), arguments.begin(), arguments.end());
      words.insert(words.end(), {"--port", "0"});
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      execv(INGOT_BINARY, argv.data());
      _exit(127);
    }
    close(pipes[1]);
    FILE* out = fdopen(pipes[0], "r");
    char line[4096];
    while (std::fgets(line, sizeof line, out))
      if (const char* at = std::strstr(line, "http://")) {
        port_ = static_cast<uint16_t>(std::atoi(std::strrchr(at, ':') + 1));
        break;
      }
    out_ = out;
  }
  ~RunningService() {
    if (pid_ > 0 && !ended_) kill(pid_, SIGKILL), wait();
    if (out_) std::fclose(out_);
  }
  RunningService(const RunningService&) = delete;

  uint16_t port() const { return port_; }  // 0: it did not start
  void signal(int number) { kill(pid_, number); }
  int wait() {  // exit code
    int status = 0;
    waitpid(pid_, &status, 0);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  Answer post(const std::string& path, const Json& body) const {
    Client client(port_);
    return client.post(path, body.dump());
  }
  Answer get(const std::string& path) const {
    Client client(port_);
    return client.get(path);
  }
  // The parsed answer; fails the test when the status is another.
  Json ask(const std::string& path, const Json& body, int status = 200) const {
    const Answer answer = post(path, body);
    EXPECT_EQ(answer.status, status) << path << " " << body.dump() << "\n" << answer.body;
    return Json::parse(answer.body, nullptr, false);
  }
  std::vector<Event> stream(const std::string& path, Json body) const {
    body["stream"] = true;
    const Answer answer = post(path, body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_NE(answer.head.find("text/event-stream"), std::string::npos) << answer.head;
    return events_of(answer.body);
  }
  // A value of /metrics whose line begins with this.
  double metric(const std::string& beginning) const {
    const std::string body = get("/metrics").body;
    const size_t at = body.find("\n" + beginning);
    return at == std::string::npos ? -1 : std::atof(body.c_str() + body.find(' ', at + beginning.size()) + 1);
  }

 private:
  pid_t pid_ = -1;
  uint16_t port_ = 0;
  FILE* out_ = nullptr;
  bool ended_ = false;
};

}  // namespace ingot::harness
