// Tokens of a text and back: vLLM's bodies ("prompt" or "messages") and llama.cpp's ("content") on the same two routes.
#include <fmt/format.h>

#include "serve/chat_task.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

void tokenize(Service& service, Call& call) {
  const Json& body = call.body();
  const auto model = generating_model(service, body);
  call.answered_by(model->name, model->hash);
  const Tokenizer& tokenizer = model->engine->tokenizer();
  std::vector<int32_t> ids;
  if (const Json* messages = field(body, "messages")) {
    ChatTask task;
    task.model = model;
    task.messages = *messages;
    read_tools(body, task);
    ids = conversation_tokens(task);
  } else if (field(body, "content")) {
    ids = tokenizer.encode(text_field(body, "content"), flag_field(body, "parse_special", true), flag_field(body, "add_special", false));
  } else if (field(body, "prompt")) {
    ids = tokenizer.encode(text_field(body, "prompt"), true, flag_field(body, "add_special_tokens", true));
  } else {
    refuse_field("prompt", "give a \"prompt\", \"messages\" or \"content\"");
  }
  Json tokens = Json::array(), words = Json::array();
  const bool pieces = flag_field(body, "with_pieces", false);
  for (const int32_t id : ids) {
    words.push_back(repair_utf8(tokenizer.decode(std::span(&id, 1), true)));
    if (pieces) tokens.push_back({{"id", id}, {"piece", words.back()}});
    else tokens.push_back(id);
  }
  Json out = {{"count", ids.size()}, {"max_model_len", model->engine->context()}, {"tokens", std::move(tokens)}};
  out["token_strs"] = flag_field(body, "return_token_strs", false) ? std::move(words) : Json();
  call.reply(out);
}

void detokenize(Service& service, Call& call) {
  const auto model = generating_model(service, call.body());
  call.answered_by(model->name, model->hash);
  const Tokenizer& tokenizer = model->engine->tokenizer();
  const Json* tokens = field(call.body(), "tokens");
  if (!tokens || !tokens->is_array()) refuse_field("tokens", "\"tokens\" must be a list of token ids");
  std::vector<int32_t> ids;
  for (const Json& one : *tokens) {
    const int64_t id = one.is_number_integer() ? one.get<int64_t>() : -1;
    if (id < 0 || id >= tokenizer.size()) refuse_field("tokens", fmt::format("\"tokens\" holds what is no token of this model, which has {}", tokenizer.size()));
    ids.push_back(static_cast<int32_t>(id));
  }
  const std::string text = repair_utf8(tokenizer.decode(ids, true));
  call.reply({{"prompt", text}, {"content", text}});
}

constexpr std::string_view kTokenize = R"({"type":"object","properties":{"model":{"type":"string"},"prompt":{"type":"string"},"content":{"type":"string"},
  "messages":{"type":"array","items":{"type":"object"}},"add_special_tokens":{"type":"boolean"},"add_special":{"type":"boolean"},"with_pieces":{"type":"boolean"},
  "return_token_strs":{"type":"boolean"},"parse_special":{"type":"boolean"},"tools":{"type":"array","items":{"type":"object"}},
  "tool_choice":{"anyOf":[{"type":"string"},{"type":"object"}]},"parallel_tool_calls":{"type":"boolean"}}})";
constexpr std::string_view kDetokenize = R"({"type":"object","required":["tokens"],"properties":{"model":{"type":"string"},
  "tokens":{"type":"array","items":{"type":"integer","minimum":0}}}})";

}  // namespace

void add_tokenize_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/tokenize", Scope::kInfer, "The tokens of a text or a conversation.", kTokenize, tokenize});
  routes.push_back({"POST", "/detokenize", Scope::kInfer, "The text of tokens.", kDetokenize, detokenize});
}

}  // namespace ingot
