// The requests of the official OpenAI and Anthropic clients, of LangChain and of editors, as they came over the wire
// (tools/check_api_clients.py --record), sent again: the answers must have the shape that those clients read without a fault.
#include <fstream>
#include <map>
#include <set>

#include "chat_files.h"
#include "running_service.h"

namespace ingot {
namespace {

using harness::Answer;
using harness::Client;
using harness::Json;
using harness::RunningService;

using Shape = std::map<std::string, std::set<std::string>>;  // types by path

void add_shape(const Json& value, const std::string& path, Shape& out) {
  if (value.is_object()) {
    out[path].insert("object");
    for (const auto& [key, item] : value.items()) add_shape(item, path + "." + key, out);
  } else if (value.is_array()) {
    out[path].insert("array");
    for (const Json& item : value) add_shape(item, path + "[]", out);
  } else {
    out[path].insert(value.is_null() ? "null" : value.is_boolean() ? "boolean" : value.is_number() ? "number" : "string");
  }
}

Shape shape_of(const Answer& answer) {
  Shape out;
  if (answer.head.find("text/event-stream") == std::string::npos) {
    add_shape(Json::parse(answer.body), "", out);
    return out;
  }
  for (const auto& event : harness::events_of(answer.body)) {
    if (event.data == "[DONE]") out[event.name + "!"].insert("[DONE]");
    else add_shape(event.data, event.name + "!", out);
  }
  return out;
}

// What depends on how far the model spoke: an answer that met its limit ends by another event, with a reason.
std::string plain_path(std::string path) {
  if (path.starts_with("response.incomplete!")) return "response.completed!" + path.substr(20);
  if (const size_t at = path.find(".top_logprobs[]."); at != std::string::npos && path.starts_with(".choices[].logprobs.top_logprobs")) path.resize(at + 16);  // named by tokens
  return path;
}

class ApiClients : public ::testing::Test {
 protected:
  // Compares with what is recorded; whatever may be null on either side may be so here.
  static void expect_shape(const Json& record, const Answer& answer) {
    const std::string what = record["check"].get<std::string>() + " " + record["path"].get<std::string>() + " " + record["body"].get<std::string>().substr(0, 300) + "\n" + answer.body.substr(0, 1500);
    ASSERT_EQ(answer.status, record["status"].get<int>()) << what;
    Shape recorded, found;
    for (const auto& line : record["shape"]) {
      const std::string text = line;
      recorded[plain_path(text.substr(0, text.rfind(' ')))].insert(text.substr(text.rfind(' ') + 1));
    }
    for (const auto& [path, types] : shape_of(answer)) found[plain_path(path)].insert(types.begin(), types.end());
    for (const auto& [path, types] : recorded) {
      if (path.find("incomplete_details") != std::string::npos) continue;
      ASSERT_TRUE(found.contains(path)) << "missing: " << path << "\n" << what;
      const auto& have = found[path];
      EXPECT_TRUE(have == types || types.contains("null") || have.contains("null") ||
                  std::any_of(types.begin(), types.end(), [&](const std::string& type) { return have.contains(type); })) << path << "\n" << what;
    }
    for (const auto& [path, types] : found)
      EXPECT_TRUE(recorded.contains(path) || path.find("incomplete_details") != std::string::npos) << "new: " << path << "\n" << what;
  }
};

TEST_F(ApiClients, RecordedRequestsAreAnsweredInTheRecordedShape) {
  RunningService service({"chat=" + harness::talking_model(), "embed=ingot-base"});
  ASSERT_NE(service.port(), 0);
  std::ifstream in(std::string(INGOT_TEST_DATA) + "/serve/data/api_clients.jsonl");
  std::string line;
  std::set<std::string> checks;
  while (std::getline(in, line)) {
    const Json record = Json::parse(line);
    checks.insert(record["check"].get<std::string>());
    std::string head = record["method"].get<std::string>() + " " + record["path"].get<std::string>() + " HTTP/1.1\r\nHost: localhost\r\n";
    for (const auto& [key, value] : record["headers"].items()) head += key + ": " + value.get<std::string>() + "\r\n";
    const std::string body = record["body"];
    Client client(service.port());
    client.send(head + (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body);
    expect_shape(record, client.read());
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(checks.size(), 18u);
}

// A model with marks for filling in, asked as llama.vscode asks: while a person types, the same file again and again.
TEST(Infill, AnswersAnEditor) {
  const std::string text = "def add a b return a plus b print import math class self for in range if else while";
  const std::string_view texts[] = {text};
  const std::string specials[] = {"<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"};
  const auto tokenizer = std::const_pointer_cast<Tokenizer>(train_tokenizer(texts, 300, PreTokenizer::kGpt2, specials));
  tokenizer->eos = 0;
  LlamaConfig c;
  c.vocab = tokenizer->size(), c.width = 32, c.layers = 1, c.heads = 2, c.groups = 1, c.head_size = c.rope_dims = 16, c.hidden = 64, c.context = 512;
  GgufWriter writer;
  Llama::random(c, 3)->write(writer, ElementType::kF32, ElementType::kF32);
  tokenizer->to_gguf(writer);
  const auto file = std::filesystem::path(::testing::TempDir()) / ("filler_" + std::to_string(getpid()) + ".gguf");
  writer.write(file);
  RunningService service({"m=" + file.string()});
  ASSERT_NE(service.port(), 0);
  const Json body = {{"id_slot", 0}, {"input_prefix", "def add(a, b):\n" + text + "\n"}, {"input_suffix", "\nprint(add(1, 2))\n"},
                     {"input_extra", {{{"text", "import math\n"}, {"time", 1700000000000}, {"filename", "other.py"}}}}, {"prompt", "    return "}, {"n_predict", 16}, {"top_k", 40},
                     {"top_p", 0.99}, {"stream", false}, {"n_indent", 4}, {"samplers", {"top_k", "top_p", "infill"}}, {"cache_prompt", true}, {"t_max_prompt_ms", 500},
                     {"t_max_predict_ms", 1000}, {"temperature", 0}, {"response_fields", {"content", "timings/prompt_n"}}};
  const Json first = service.ask("/infill", body), again = service.ask("/infill", body);
  EXPECT_FALSE(first["content"].get<std::string>().empty()) << first;
  EXPECT_EQ(first["content"], again["content"]);
  EXPECT_EQ(first["stop"], true);
  EXPECT_EQ(first["truncated"], false);
  EXPECT_EQ(first["tokens_predicted"].get<int>() <= 16, true);
  EXPECT_GE(again["tokens_cached"].get<int>(), 64);
  EXPECT_EQ(again["timings"]["prompt_n"].get<int>(), again["tokens_evaluated"].get<int>() - again["tokens_cached"].get<int>());
  Json warm = body;  // how the extension has a file read ahead of time
  warm["n_predict"] = 0;
  EXPECT_EQ(service.ask("/infill", warm)["content"], "");
  // A mark that stands in the file is text: the prompt has no more marks than the six that belong there.
  Json written = body;
  written["input_prefix"] = "<|fim_middle|>";
  EXPECT_GT(service.ask("/infill", written)["tokens_evaluated"].get<int>(), 10);
  std::string streamed;
  for (const auto& event : service.stream("/infill", body)) streamed += event.data["content"].get<std::string>();
  EXPECT_EQ(streamed, first["content"]);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace ingot
