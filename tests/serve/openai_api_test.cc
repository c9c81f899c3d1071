// OpenAI's APIs over the real binary and raw HTTP.
#include <cmath>
#include <cstring>

#include "running_service.h"
#include "runtime/open_model.h"
#include "serve/api_route.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

using harness::Answer;
using harness::Client;
using harness::Json;
using harness::RunningService;

class OpenAiApi : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { service = std::make_unique<RunningService>(std::vector<std::string>{"talker=" + harness::talking_model(), "ingot-base"}); }
  static void TearDownTestSuite() { service.reset(); }
  void SetUp() override { ASSERT_NE(service->port(), 0); }
  static Json said(const std::string& text) { return Json::array({{{"role", "user"}, {"content", text}}}); }
  static std::unique_ptr<RunningService> service;
};
std::unique_ptr<RunningService> OpenAiApi::service;

TEST_F(OpenAiApi, AStreamSaysWhatTheWholeAnswerSays) {
  const Json body = {{"model", "talker"}, {"messages", said("The kernel now")}, {"max_tokens", 24}, {"temperature", 0}};
  const Json whole = service->ask("/v1/chat/completions", body);
  const std::string text = whole["choices"][0]["message"]["content"];
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(whole["object"], "chat.completion");
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(whole["usage"]["completion_tokens"], 24);
  EXPECT_GT(whole["usage"]["prompt_tokens"].get<int>(), 3);
  Json streaming = body;
  streaming["stream_options"] = {{"include_usage", true}};
  const auto events = service->stream("/v1/chat/completions", streaming);
  ASSERT_GT(events.size(), 5u);
  std::string together;
  for (const auto& event : events)
    if (event.data.is_object() && !event.data["choices"].empty() && event.data["choices"][0]["delta"].contains("content"))
      together += event.data["choices"][0]["delta"]["content"].get<std::string>();
  EXPECT_EQ(together, text);
  EXPECT_EQ(events[0].data["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(events.back().data, "[DONE]");
  const Json& last = events[events.size() - 2].data;
  EXPECT_TRUE(last["choices"].empty());
  EXPECT_EQ(last["usage"]["completion_tokens"], 24);
  EXPECT_EQ(events[events.size() - 3].data["choices"][0]["finish_reason"], "length");
  EXPECT_TRUE(events[1].data["usage"].is_null());
  EXPECT_NE(events[1].data.dump().find(whole["system_fingerprint"].get<std::string>()), std::string::npos);
}

TEST_F(OpenAiApi, StopSeedChoicesAndScores) {
  const Json body = {{"model", "talker"}, {"messages", said("List the packages")}, {"max_tokens", 40}, {"temperature", 0}};
  const std::string text = service->ask("/v1/chat/completions", body)["choices"][0]["message"]["content"];
  ASSERT_GT(text.size(), 12u);
  Json stopping = body;
  const std::string stop = text.substr(text.size() / 2, 3);
  stopping["stop"] = {stop};
  const Json stopped = service->ask("/v1/chat/completions", stopping);
  EXPECT_EQ(stopped["choices"][0]["message"]["content"], text.substr(0, text.find(stop)));
  EXPECT_EQ(stopped["choices"][0]["finish_reason"], "stop");

  Json drawn = body;
  drawn.update({{"temperature", 1.2}, {"ignore_eos", true}, {"seed", 7}, {"n", 3}, {"max_tokens", 12}, {"logprobs", true}, {"top_logprobs", 4}});
  const Json first = service->ask("/v1/chat/completions", drawn), again = service->ask("/v1/chat/completions", drawn);
  ASSERT_EQ(first["choices"].size(), 3u);
  EXPECT_EQ(first["choices"], again["choices"]);
  EXPECT_NE(first["choices"][0]["message"]["content"], first["choices"][1]["message"]["content"]);
  const Json& scores = first["choices"][2]["logprobs"]["content"];
  ASSERT_EQ(scores.size(), 12u);
  std::string spelt;
  for (const Json& one : scores) {
    ASSERT_EQ(one["top_logprobs"].size(), 4u);
    EXPECT_LE(one["logprob"].get<double>(), one["top_logprobs"][0]["logprob"].get<double>());
    for (const Json& byte : one["bytes"]) spelt += static_cast<char>(byte.get<int>());
  }
  EXPECT_EQ(repair_utf8(spelt), first["choices"][2]["message"]["content"]);
  // The likeliest token is forbidden: another comes.
  Json biased = body;
  biased.update({{"max_tokens", 1}, {"logprobs", true}, {"top_logprobs", 2}});
  const Json likeliest = service->ask("/v1/chat/completions", biased)["choices"][0]["logprobs"]["content"][0];
  const Json ids = service->ask("/tokenize", {{"model", "talker"}, {"content", likeliest["token"]}});
  ASSERT_EQ(ids["tokens"].size(), 1u);
  biased["logit_bias"] = {{std::to_string(ids["tokens"][0].get<int>()), -100}};
  const Json second = service->ask("/v1/chat/completions", biased)["choices"][0]["logprobs"]["content"][0];
  EXPECT_EQ(second["token"], likeliest["top_logprobs"][1]["token"]);
}

TEST_F(OpenAiApi, RefusesPlainly) {
  for (const char* body : {R"({"messages":[],"temperature":1e999})", R"({"messages":[{"role":"user","content":"hi"}],"metadata":{"x":-1e999}})"}) {
    Client client(service->port());
    EXPECT_EQ(client.post("/v1/chat/completions", body).status, 400) << body;
  }
  const auto refused = [&](Json change, int status, const std::string& words) {
    Json body = {{"model", "talker"}, {"messages", said("hello")}, {"max_tokens", 4}};
    body.update(change);
    const Json answer = service->ask("/v1/chat/completions", body, status);
    ASSERT_TRUE(answer.contains("error")) << answer;
    EXPECT_NE(answer.dump().find(words), std::string::npos) << answer;
  };
  std::string longer;
  for (int i = 0; i < 3000; ++i) longer += "kernel module ";
  Json body = {{"model", "talker"}, {"messages", said(longer)}};
  const Json answer = service->ask("/v1/chat/completions", body, 400);
  EXPECT_EQ(answer["error"]["code"], "context_length_exceeded");
  const Json models = Json::parse(service->get("/v1/models").body);
  const std::string context = std::to_string(models["data"][0]["max_model_len"].get<int>());
  EXPECT_NE(answer["error"]["message"].get<std::string>().find(context), std::string::npos) << answer;
  const Json counted = service->ask("/tokenize", {{"model", "talker"}, {"messages", said(longer)}});
  EXPECT_NE(answer["error"]["message"].get<std::string>().find(std::to_string(counted["count"].get<int>())), std::string::npos) << answer << counted["count"];

  refused({{"model", "gpt-9"}}, 404, "model_not_found");
  refused({{"messages", "hello"}}, 400, "messages");
  refused({{"messages", Json::array()}}, 400, "messages");
  refused({{"temperature", "warm"}}, 400, "temperature");
  refused({{"temperature", -1}}, 400, "temperature");
  refused({{"n", 0}}, 400, "\\\"n\\\"");
  refused({{"stop", {"a", 3}}}, 400, "stop");
  refused({{"logit_bias", {{"99999999", 1}}}}, 400, "logit_bias");
  refused({{"tools", {{{"type", "retrieval"}}}}}, 400, "tools");
  refused({{"tool_choice", "required"}}, 400, "tool_choice");
  refused({{"messages", {{{"role", "wizard"}, {"content", "x"}}}}}, 400, "wizard");
  refused({{"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}, {"image_url", "x"}}}}}}}}, 400, "image_url");
  refused({{"messages", {{{"role", "user"}}}}}, 400, "no content");
  // A model without a chat template says so and names the other route.
  refused({{"model", "ingot-base"}}, 400, "/v1/completions");
  EXPECT_EQ(service->get("/v1/nothing").status, 404);
  EXPECT_EQ(service->get("/v1/chat/completions").status, 405);
  Client client(service->port());
  EXPECT_EQ(client.post("/v1/chat/completions", "{not json").status, 400);
  EXPECT_EQ(client.post("/v1/chat/completions", std::string(5000, '[')).status, 400);
}

// What a request means and the service passes over is told by a header; what it knows is not.
TEST_F(OpenAiApi, IgnoredFieldsAreNamedInAHeader) {
  const auto ignored = [&](const char* path, const Json& body, int status = 200) -> std::string {
    const Answer answer = service->post(path, body);
    EXPECT_EQ(answer.status, status) << answer.body;
    const std::string name = "X-Ingot-Ignored-Fields: ";
    const size_t at = answer.head.find(name);
    return at == std::string::npos ? "" : answer.head.substr(at + name.size(), answer.head.find("\r\n", at) - at - name.size());
  };
  const Json plain = {{"model", "talker"}, {"messages", said("The kernel")}, {"max_tokens", 1}};
  const auto with = [&](const Json& more) {
    Json body = plain;
    body.update(more);
    return body;
  };
  EXPECT_EQ(ignored("/v1/chat/completions", plain), "");
  EXPECT_EQ(ignored("/v1/chat/completions", with({{"temprature", 0}, {"max_token", 1}, {"service_tier", "auto"}, {"foo", 1}})), "temprature (temperature?), max_token (max_tokens?), service_tier, foo");
  EXPECT_EQ(ignored("/v1/chat/completions", with({{"temprature", 0}, {"stream", true}})), "temprature (temperature?)");
  EXPECT_EQ(ignored("/v1/chat/completions", {{"model", "talker"}, {"mesages", said("hi")}}, 400), "mesages (messages?)") << "an error has it, too";
  EXPECT_EQ(ignored("/v1/chat/completions", with({{"a\r\nSet-Cookie: b", 1}})), "a??Set-Cookie??b");
  EXPECT_EQ(ignored("/v1/chat/completions", with({{std::string(100, 'x'), 1}})), std::string(64, 'x'));
  Json many = plain;
  for (int i = 10; i < 40; ++i) many["unknown_" + std::to_string(i)] = i;
  const std::string told = ignored("/v1/chat/completions", many);
  EXPECT_NE(told.find("unknown_25, ..."), std::string::npos) << told;
  EXPECT_EQ(told.find("unknown_26"), std::string::npos) << told;
  // Every field that a handler looks for is in its route's schema.
  const Json drawn = {{"temperature", 0.5}, {"top_p", 0.9}, {"top_k", 5}, {"min_p", 0.1}, {"typical_p", 1}, {"presence_penalty", 0}, {"frequency_penalty", 0}, {"repetition_penalty", 1},
                      {"repeat_penalty", 1}, {"repeat_last_n", 4}, {"dry_multiplier", 0}, {"dry_base", 2}, {"dry_allowed_length", 2}, {"dry_penalty_last_n", 8}, {"dry_sequence_breakers", {"a"}},
                      {"seed", 1}, {"stop", "x"}, {"ignore_eos", false}, {"logit_bias", Json::object()}};
  const Json forms = {{"response_format", {{"type", "text"}}}, {"guided_json", nullptr}, {"guided_regex", nullptr}, {"guided_choice", nullptr}, {"guided_grammar", nullptr}, {"json_schema", nullptr},
                      {"grammar", ""}, {"structured_outputs", nullptr}};
  Json chat = with(drawn);
  chat.update(forms);
  chat.update({{"max_completion_tokens", 1}, {"n", 1}, {"stream", false}, {"stream_options", nullptr}, {"logprobs", true}, {"top_logprobs", 1}, {"tools", nullptr}, {"tool_choice", nullptr},
               {"parallel_tool_calls", true}, {"documents", nullptr}, {"chat_template_kwargs", Json::object()}, {"reasoning_effort", "low"}, {"user", "me"}});
  EXPECT_EQ(ignored("/v1/chat/completions", chat), "");
  Json complete = drawn;
  complete.update(forms);
  complete.update({{"model", "talker"}, {"prompt", "The"}, {"max_tokens", 1}, {"suffix", ""}, {"echo", false}, {"n", 1}, {"best_of", 1}, {"logprobs", 1}, {"stream", false}, {"stream_options", nullptr}});
  EXPECT_EQ(ignored("/v1/completions", complete), "");
  Json respond = drawn;
  respond.update({{"model", "talker"}, {"input", "hi"}, {"max_output_tokens", 1}, {"instructions", "be brief"}, {"store", false}, {"background", false}, {"truncation", "disabled"}, {"text", nullptr},
                  {"reasoning", nullptr}, {"previous_response_id", nullptr}, {"metadata", Json::object()}, {"user", "me"}, {"tools", nullptr}, {"tool_choice", nullptr}, {"parallel_tool_calls", true}});
  EXPECT_EQ(ignored("/v1/responses", respond), "");
  EXPECT_EQ(ignored("/tokenize", {{"model", "talker"}, {"content", "a"}, {"parse_special", true}, {"add_special", true}, {"with_pieces", true}, {"return_token_strs", true}}), "");
  EXPECT_EQ(ignored("/v1/messages/count_tokens", {{"model", "talker"}, {"messages", said("hi")}, {"thinking", {{"type", "disabled"}}}, {"tool_choice", nullptr}, {"tools", nullptr}}), "");
}

TEST_F(OpenAiApi, Completions) {
  const Json body = {{"model", "ingot-base"}, {"prompt", "The kernel now"}, {"max_tokens", 8}, {"temperature", 0}};
  const Json whole = service->ask("/v1/completions", body);
  const std::string text = whole["choices"][0]["text"];
  EXPECT_EQ(whole["object"], "text_completion");
  const Json ids = service->ask("/tokenize", {{"model", "ingot-base"}, {"prompt", "The kernel now"}})["tokens"];
  Json other = body;
  other["prompt"] = ids;
  EXPECT_EQ(service->ask("/v1/completions", other)["choices"][0]["text"], text);
  other["prompt"] = Json::array({"The kernel now", ids, "Fix a crash"});
  const Json three = service->ask("/v1/completions", other);
  ASSERT_EQ(three["choices"].size(), 3u);
  EXPECT_EQ(three["choices"][0]["text"], text);
  EXPECT_EQ(three["choices"][1]["text"], text);
  EXPECT_EQ(three["choices"][2]["index"], 2);
  EXPECT_EQ(three["usage"]["completion_tokens"], 24);
  std::string together;
  for (const auto& event : service->stream("/v1/completions", body))
    if (event.data.is_object()) together += event.data["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(together, text);

  Json echo = body;
  echo.update({{"echo", true}, {"logprobs", 2}});
  const Json scored = service->ask("/v1/completions", echo);
  EXPECT_EQ(scored["choices"][0]["text"], "The kernel now" + text);
  const Json& scores = scored["choices"][0]["logprobs"];
  ASSERT_EQ(scores["tokens"].size(), ids.size() + 8);
  EXPECT_TRUE(scores["token_logprobs"][0].is_null());
  EXPECT_LE(scores["token_logprobs"][1].get<double>(), 0);
  EXPECT_EQ(scores["text_offset"][0], 0);
  // The prompt's scores are those of generating it: asked for none of an answer, they stay.
  echo["max_tokens"] = 0;
  const Json prompt_only = service->ask("/v1/completions", echo);
  ASSERT_EQ(prompt_only["choices"][0]["logprobs"]["tokens"].size(), ids.size());
  EXPECT_EQ(prompt_only["choices"][0]["logprobs"]["token_logprobs"][1], scores["token_logprobs"][1]);
  service->ask("/v1/completions", {{"model", "ingot-base"}, {"prompt", "a"}, {"suffix", "b"}}, 400);
  service->ask("/infill", {{"model", "ingot-base"}, {"input_prefix", "a"}, {"input_suffix", "b"}}, 400);
  EXPECT_EQ(service->ask("/detokenize", {{"model", "ingot-base"}, {"tokens", ids}})["prompt"], "The kernel now");
}

TEST_F(OpenAiApi, Responses) {
  const Json body = {{"model", "talker"}, {"input", "The kernel now"}, {"max_output_tokens", 16}, {"temperature", 0}};
  const Json whole = service->ask("/v1/responses", body);
  EXPECT_EQ(whole["object"], "response");
  EXPECT_EQ(whole["status"], "incomplete");
  EXPECT_EQ(whole["incomplete_details"]["reason"], "max_output_tokens");
  const std::string text = whole["output"][0]["content"][0]["text"];
  EXPECT_EQ(whole["usage"]["output_tokens"], 16);
  const auto events = service->stream("/v1/responses", body);
  std::string names, together;
  int number = 0;
  for (const auto& event : events) {
    EXPECT_EQ(event.name, event.data["type"]);
    EXPECT_EQ(event.data["sequence_number"], number++);
    if (event.name == "response.output_text.delta") together += event.data["delta"].get<std::string>();
    else names += event.name + " ";
  }
  EXPECT_EQ(together, text);
  EXPECT_EQ(names, "response.created response.in_progress response.output_item.added response.content_part.added response.output_text.done "
                   "response.content_part.done response.output_item.done response.incomplete ");
  EXPECT_EQ(events.back().data["response"]["output"][0]["content"][0]["text"], text);
  // The same conversation as a list of items.
  Json items = body;
  items["input"] = Json::array({{{"type", "message"}, {"role", "user"}, {"content", Json::array({{{"type", "input_text"}, {"text", "The kernel now"}}})}}});
  EXPECT_EQ(service->ask("/v1/responses", items)["output"][0]["content"][0]["text"], text);
  for (const Json& change : {Json{{"store", true}}, Json{{"previous_response_id", "resp_1"}}, Json{{"background", true}}}) {
    Json refused = body;
    refused.update(change);
    service->ask("/v1/responses", refused, 400);
  }
}

TEST_F(OpenAiApi, EmbeddingsAndRanking) {
  const Json texts = {"the kernel panics at boot", "a recipe for bread", "kernel crash during boot"};
  const Json plain = service->ask("/v1/embeddings", {{"model", "ingot-base"}, {"input", texts}});
  ASSERT_EQ(plain["data"].size(), 3u);
  const size_t width = plain["data"][0]["embedding"].size();
  double square = 0;
  for (const Json& v : plain["data"][0]["embedding"]) square += v.get<double>() * v.get<double>();
  EXPECT_NEAR(square, 1, 1e-4);
  EXPECT_GT(plain["usage"]["prompt_tokens"].get<int>(), 6);
  const Json packed = service->ask("/v1/embeddings", {{"model", "ingot-base"}, {"input", texts}, {"encoding_format", "base64"}});
  EXPECT_EQ(packed["data"][0]["embedding"].get<std::string>().size(), (width * 4 + 2) / 3 * 4);
  const Json cut = service->ask("/v1/embeddings", {{"model", "ingot-base"}, {"input", texts[0]}, {"dimensions", 8}});
  ASSERT_EQ(cut["data"][0]["embedding"].size(), 8u);
  square = 0;
  for (const Json& v : cut["data"][0]["embedding"]) square += v.get<double>() * v.get<double>();
  EXPECT_NEAR(square, 1, 1e-4);
  service->ask("/v1/embeddings", {{"model", "ingot-base"}, {"input", texts}, {"dimensions", width + 1}}, 400);
  service->ask("/v1/embeddings", {{"model", "ingot-base"}, {"input", Json::array()}}, 400);
  const Json ranked = service->ask("/v1/rerank", {{"model", "ingot-base"}, {"query", texts[0]}, {"documents", {texts[1], texts[0], {{"text", texts[2]}}}}, {"top_n", 2}});
  ASSERT_EQ(ranked["results"].size(), 2u);
  EXPECT_EQ(ranked["results"][0]["index"], 1);
  EXPECT_NEAR(ranked["results"][0]["relevance_score"].get<double>(), 1, 1e-4);
  EXPECT_EQ(ranked["results"][0]["document"]["text"], texts[0]);
  const Json scored = service->ask("/score", {{"model", "ingot-base"}, {"text_1", texts[0]}, {"text_2", {texts[0], texts[1]}}});
  EXPECT_GT(scored["data"][0]["score"].get<double>(), scored["data"][1]["score"].get<double>());
}

// A sentence encoder beside language models: the same vectors as without a service, shortened and packed as the API has it.
TEST(SentenceEncoder, IsServed) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("served_bert_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(std::string(INGOT_TEST_DATA) + "/models/data/families/bert/" + name, folder / name, std::filesystem::copy_options::overwrite_existing);
  std::string vocab = R"("[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3)";
  for (int i = 4; i < 48; ++i) vocab += ",\"w" + std::to_string(i) + "\":" + std::to_string(i);
  write_file(folder / "tokenizer.json", R"({"added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],
      "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},
      "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],
      "pair":[],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[2],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[3],"tokens":["[SEP]"]}}},
      "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{)" + vocab + "}}}");
  RunningService service({"bert=" + folder.string(), "ingot-base"});
  ASSERT_NE(service.port(), 0);
  std::string long_text;
  for (int i = 0; i < 200; ++i) long_text += "w" + std::to_string(4 + i * 7 % 44) + " ";
  const std::vector<std::string> texts{"w9 w10 w11", "w12 W13", long_text};
  const Json plain = service.ask("/v1/embeddings", {{"model", "bert"}, {"input", texts}});
  ASSERT_EQ(plain["data"].size(), 3u);
  EXPECT_EQ(plain["usage"]["prompt_tokens"], 5 + 4 + 202);
  EXPECT_EQ(plain["windows"][0], 1);
  EXPECT_GT(plain["windows"][2].get<int>(), 1);  // longer than its 96 positions: nothing is cut off
  const std::vector<float> expected = open_encoder(folder.string())->encode(texts);
  ASSERT_EQ(expected.size(), 3u * 32);
  for (size_t t = 0; t < 3; ++t)
    for (size_t i = 0; i < 32; ++i) EXPECT_FLOAT_EQ(plain["data"][t]["embedding"][i].get<float>(), expected[t * 32 + i]);
  // base64 of little-endian floats, and the first numbers alone, of unit length again.
  const Json packed = service.ask("/v1/embeddings", {{"model", "bert"}, {"input", texts}, {"encoding_format", "base64"}, {"dimensions", 8}});
  double square = 0;
  for (size_t i = 0; i < 8; ++i) square += static_cast<double>(expected[i]) * expected[i];
  const std::string text = packed["data"][0]["embedding"];
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(kAlphabet.find(c));
    if ((have += 6) >= 8) bytes += static_cast<char>(bits >> (have -= 8) & 255);
  }
  ASSERT_EQ(bytes.size(), 32u);
  for (size_t i = 0; i < 8; ++i) {
    float value;
    std::memcpy(&value, bytes.data() + 4 * i, 4);
    EXPECT_NEAR(value, expected[i] / std::sqrt(square), 1e-6);
  }
  service.ask("/v1/embeddings", {{"model", "bert"}, {"input", "x"}, {"dimensions", 33}}, 400);
  service.ask("/v1/completions", {{"model", "bert"}, {"prompt", "x"}}, 400);
  EXPECT_EQ(service.ask("/v1/rerank", {{"model", "bert"}, {"query", texts[0]}, {"documents", {texts[1], texts[0]}}})["results"][0]["index"], 1);
  std::filesystem::remove_all(folder);
}

TEST(SentenceEncoder, IsServedFromAGguf) {
  const std::string file = std::string(INGOT_TEST_DATA) + "/models/data/bert.gguf";
  RunningService service({"bert=" + file});
  ASSERT_NE(service.port(), 0);
  const std::vector<std::string> texts{"the cafe menu", "unbelievable"};
  const Json out = service.ask("/v1/embeddings", {{"model", "bert"}, {"input", texts}});
  ASSERT_EQ(out["data"].size(), 2u);
  EXPECT_EQ(out["usage"]["prompt_tokens"], 5 + 5);
  const std::vector<float> expected = open_encoder(file)->encode(texts);
  for (size_t t = 0; t < 2; ++t)
    for (size_t i = 0; i < 32; ++i) EXPECT_FLOAT_EQ(out["data"][t]["embedding"][i].get<float>(), expected[t * 32 + i]);
  service.ask("/v1/completions", {{"model", "bert"}, {"prompt", "x"}}, 400);
}

// Held to a schema, even a model that knows nothing of JSON answers in it; so a tool that must be called is called.
TEST_F(OpenAiApi, AnswersHeldToAForm) {
  const Json schema = {{"type", "object"}, {"properties", {{"name", {{"type", "string"}, {"maxLength", 12}}}, {"severity", {{"enum", {"low", "high"}}}}}},
                       {"required", {"name", "severity"}}, {"additionalProperties", false}};
  const Json body = {{"model", "talker"}, {"messages", said("A crash at boot")}, {"max_tokens", 120}, {"temperature", 0}};
  for (const Json& form : {Json{{"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "bug"}, {"schema", schema}}}}}}, Json{{"guided_json", schema}},
                           Json{{"structured_outputs", {{"json", schema}}}}, Json{{"json_schema", schema}}}) {
    Json held = body;
    held.update(form);
    const Json answer = service->ask("/v1/chat/completions", held);
    const Json bug = Json::parse(answer["choices"][0]["message"]["content"].get<std::string>(), nullptr, false);
    ASSERT_TRUE(bug.is_object()) << form << answer;
    EXPECT_TRUE(bug["severity"] == "low" || bug["severity"] == "high");
    EXPECT_EQ(bug.size(), 2u);
  }
  const Json tools = Json::array({{{"type", "function"}, {"function", {{"name", "file_bug"}, {"parameters", schema}}}},
                                  {{"type", "function"}, {"function", {{"name", "close_bug"}, {"parameters", {{"type", "object"}, {"properties", {{"id", {{"type", "integer"}}}}}, {"required", {"id"}}}}}}}});
  for (const Json& choice : {Json("required"), Json{{"type", "function"}, {"function", {{"name", "file_bug"}}}}}) {
    Json calling = body;
    calling.update({{"max_tokens", 160}, {"tools", tools}, {"tool_choice", choice}});
    const Json called = service->ask("/v1/chat/completions", calling);
    ASSERT_EQ(called["choices"][0]["finish_reason"], "tool_calls") << called;
    const Json& call = called["choices"][0]["message"]["tool_calls"][0]["function"];
    if (choice.is_object()) {
      EXPECT_EQ(call["name"], "file_bug");
    }
    EXPECT_TRUE(Json::parse(call["arguments"].get<std::string>()).is_object());
    std::string name, arguments;
    for (const auto& event : service->stream("/v1/chat/completions", calling))
      if (event.data.is_object())
        for (const Json& one : event.data["choices"][0]["delta"].value("tool_calls", Json::array())) {
          name += one["function"]["name"].get<std::string>();
          arguments += one["function"]["arguments"].get<std::string>();
        }
    EXPECT_EQ(name, call["name"]);
    EXPECT_EQ(arguments, call["arguments"]);
  }
  const Json prompt = {{"model", "ingot-base"}, {"prompt", "It is"}, {"temperature", 0}};
  const auto text = [&](const Json& form) {
    Json held = prompt;
    held.update(form);
    return service->ask("/v1/completions", held)["choices"][0]["text"].get<std::string>();
  };
  for (const Json& form : {Json{{"guided_choice", {"red", "green"}}}, Json{{"structured_outputs", {{"choice", {"red", "green"}}}}}, Json{{"grammar", "root ::= \"red\" | \"green\""}},
                           Json{{"guided_regex", "red|green"}}}) {
    const std::string word = text(form);
    EXPECT_TRUE(word == "red" || word == "green") << form << word;
  }
  for (const Json& wrong : {Json{{"guided_regex", "("}}, Json{{"guided_regex", "a"}, {"guided_choice", {"b"}}}, Json{{"grammar", "nothing"}}, Json{{"guided_choice", Json::array()}},
                            Json{{"structured_outputs", {{"structural_tag", "x"}}}}, Json{{"response_format", {{"type", "yaml"}}}}}) {
    Json held = prompt;
    held.update(wrong);
    service->ask("/v1/completions", held, 400);
  }
}

// Special tokens that a message writes out are letters: they end no turn and open none.
// A model that ships a template for tools and how to draw: both hold where a request says nothing else.
TEST(ModelFiles, AreFollowed) {
  const std::string file = harness::described_model("advised", {{"tokenizer.chat_template", GgufValue::text("plain")}, {"tokenizer.chat_template.tool_use", GgufValue::text("with tools {{ tools | length }}")},
                                                       {"general.sampling.temp", GgufValue::f32(0)}, {"general.sampling.top_k", GgufValue::u32(3)}});
  RunningService own({"advised=" + file});
  ASSERT_NE(own.port(), 0);
  const Json ask = {{"messages", {{{"role", "user"}, {"content", "Hello"}}}}, {"max_tokens", 12}};
  Json with_tools = ask;
  with_tools["tools"] = {{{"type", "function"}, {"function", {{"name", "look"}}}}};
  const int plain = own.ask("/v1/chat/completions", ask)["usage"]["prompt_tokens"], offered = own.ask("/v1/chat/completions", with_tools)["usage"]["prompt_tokens"];
  EXPECT_LT(plain, offered);
  with_tools["tool_choice"] = "none";
  EXPECT_EQ(own.ask("/v1/chat/completions", with_tools)["usage"]["prompt_tokens"], plain);
  // Temperature 0 is the model's own: two seeds say the same, until a request asks for another.
  const auto said = [&](int seed, Json more) {
    Json body = ask;
    body["seed"] = seed;
    body.update(more);
    return own.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"].get<std::string>();
  };
  EXPECT_EQ(said(1, Json::object()), said(2, Json::object()));
  EXPECT_NE(said(1, {{"temperature", 2}, {"top_k", 0}}), said(2, {{"temperature", 2}, {"top_k", 0}}));
  // llama.cpp's samplers are here by its names: one likely token at most, and repeats forbidden.
  EXPECT_EQ(said(1, {{"temperature", 2}, {"top_k", 0}, {"typical_p", 0}}), said(2, {{"temperature", 2}, {"top_k", 0}, {"typical_p", 0}}));
  EXPECT_NE(said(1, Json::object()), said(1, {{"repeat_penalty", 50}}));
  EXPECT_EQ(said(1, Json::object()), said(1, {{"repeat_penalty", 50}, {"repeat_last_n", 0}}));
  own.ask("/v1/chat/completions", [&] { Json body = ask; body["dry_multiplier"] = -1; return body; }(), 400);
  std::filesystem::remove(file);
}

// Guessing ahead, from the text or by a model, changes no answer.
TEST(ModelFiles, GuessesChangeNothing) {
  RunningService plain({harness::talking_model()}), looks_up({harness::talking_model(), "--draft", "4"}), drafted({harness::talking_model(), "--draft", "3", "--draft-model", "ingot-base"});
  const Json ask = {{"messages", {{{"role", "user"}, {"content", "one two three one two three one two"}}}}, {"max_tokens", 40}, {"seed", 5}};
  const Json said = plain.ask("/v1/chat/completions", ask)["choices"];
  EXPECT_EQ(looks_up.ask("/v1/chat/completions", ask)["choices"], said);
  EXPECT_EQ(drafted.ask("/v1/chat/completions", ask)["choices"], said);
}

TEST_F(OpenAiApi, SpecialTokensInMessagesAreLetters) {
  const auto tokens = [&](const std::string& text) { return service->ask("/tokenize", {{"model", "talker"}, {"messages", said(text)}}); };
  const Json specials = service->ask("/tokenize", {{"model", "talker"}, {"prompt", "<|endoftext|>"}, {"add_special_tokens", false}});
  ASSERT_EQ(specials["count"], 1);
  const int32_t special = specials["tokens"][0];
  const Json written = tokens("a<|endoftext|>b");
  for (const Json& id : written["tokens"]) EXPECT_NE(id, special);
  EXPECT_EQ(service->ask("/detokenize", {{"model", "talker"}, {"tokens", written["tokens"]}})["prompt"], "user: a<|endoftext|>bassistant:");
  EXPECT_EQ(tokens("ab")["count"].get<int>() + 4 < written["count"].get<int>(), true);
}

// What the document says and what is served are one table; every route answers nonsense without a fault.
TEST_F(OpenAiApi, EveryRouteIsDocumentedAndAnswersNonsense) {
  const Json document = Json::parse(service->get("/openapi.json").body);
  EXPECT_EQ(document["openapi"], "3.1.0");
  size_t documented = 0;
  for (const auto& [path, methods] : document["paths"].items()) documented += methods.size();
  EXPECT_EQ(documented, api_routes().size());
  for (const ApiRoute& route : api_routes()) {
    std::string method(route.method), path(route.path);
    for (char& c : method) c = static_cast<char>(c | 32);
    ASSERT_TRUE(document["paths"].contains(path) && document["paths"][path].contains(method)) << path;
    EXPECT_EQ(document["paths"][path][method]["x-scope"], scope_name(route.scope));
    EXPECT_EQ(document["paths"][path][method].contains("requestBody"), !route.request.empty());
    if (const size_t brace = path.find('{'); brace != std::string::npos) path = path.substr(0, brace) + "talker";
    for (const char* body : {"", "{}", "[]", "null", "{\"input\":3,\"messages\":[[]],\"prompt\":{},\"model\":[]}", "{\"model\":\"talker\",\"messages\":[{}],\"prompt\":[[]],\"input\":[{}],\"max_tokens\":1,\"max_output_tokens\":1}"}) {
      Client client(service->port());
      const Answer answer = route.method == "GET" ? client.get(path) : client.post(path, body, "", std::string(route.method));
      EXPECT_GE(answer.status, 200) << path;
      EXPECT_LT(answer.status, 500) << path << " " << body << " " << answer.body;
      if (route.style == ApiStyle::kPage) continue;  // console_routes_test.cc
      EXPECT_NE(answer.status, 404) << path;
      if (answer.status >= 400) {
        EXPECT_TRUE(Json::parse(answer.body, nullptr, false).contains("error")) << path << answer.body;
      }
    }
    // Web pages of other sites may call none of them.
    Client foreign(service->port());
    const std::string origin = "Origin: https://evil.example\r\n";
    EXPECT_EQ((route.method == "GET" ? foreign.get(path, origin) : foreign.post(path, "{}", origin, std::string(route.method))).status, 403) << path;
    Client rebound(service->port());
    rebound.send(std::string(route.method) + " " + path + " HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(rebound.read().status, 403) << path;
  }
}

// A client that leaves frees its place: within a token of its leaving, not at the end of the answer.
TEST_F(OpenAiApi, AClientThatLeavesIsNotServedOn) {
  const Json body = {{"model", "ingot-base"}, {"prompt", "The"}, {"max_tokens", 400}, {"stream", true}, {"ignore_eos", true}};
  const double before = service->metric("vllm:generation_tokens_total{model_name=\"ingot-base\"}");
  {
    Client client(service->port());
    const std::string text = body.dump();
    client.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
    while (client.unread().find("data: ") == std::string::npos) ASSERT_TRUE(client.more());
  }
  for (int i = 0; i < 200 && service->metric("vllm:num_requests_running{model_name=\"ingot-base\"}") != 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(service->metric("vllm:num_requests_running{model_name=\"ingot-base\"}"), 0);
  for (int i = 0; i < 200 && service->metric("vllm:request_success_total{model_name=\"ingot-base\",finished_reason=\"abort\"}") < 1; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(service->metric("vllm:request_success_total{model_name=\"ingot-base\",finished_reason=\"abort\"}"), 1);
  EXPECT_LT(service->metric("vllm:generation_tokens_total{model_name=\"ingot-base\"}") - std::max(0.0, before), 400);
}

}  // namespace
}  // namespace ingot
