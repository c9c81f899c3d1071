// Documents ranked by how near they are to a question (Jina's, Cohere's and vLLM's bodies), and vLLM's /score. The nearness is the
// cosine of the two embeddings.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "serve/call.h"
#include "serve/embeddings.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

constexpr size_t kMostDocuments = 2048;

void rerank(Service& service, Call& call) {
  const Json& body = call.body();
  auto model = embedding_model(service, body);
  call.answered_by(model->name, model->hash);
  std::vector<std::string> texts{text_field(body, "query")};
  if (texts[0].empty()) refuse_field("query", "\"query\" is missing");
  const Json* documents = field(body, "documents");
  if (!documents || !documents->is_array() || documents->empty() || documents->size() > kMostDocuments)
    refuse_field("documents", fmt::format("\"documents\" must be a list of 1 to {} texts", kMostDocuments));
  for (const Json& one : *documents) {
    if (!one.is_string() && !one.is_object()) refuse_field("documents", "each document must be a text or {\"text\"}");
    texts.push_back(one.is_string() ? one.get<std::string>() : text_field(one, "text"));
  }
  const size_t count = texts.size() - 1;
  const auto top = static_cast<size_t>(whole_field(body, "top_n", static_cast<int64_t>(count), 1, 1 << 30));
  const bool whole = flag_field(body, "return_documents", true);
  const Embedded e = embed(call, std::move(model), texts);
  std::vector<double> scores(count);
  for (size_t i = 0; i < count; ++i) scores[i] = cosine(e, 0, i + 1);
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  Json results = Json::array();
  for (size_t i = 0; i < std::min(top, count); ++i) {
    Json one = {{"index", order[i]}, {"relevance_score", scores[order[i]]}};
    if (whole) one["document"] = {{"text", texts[order[i] + 1]}};
    results.push_back(std::move(one));
  }
  call.reply({{"id", "rerank-" + call.id()}, {"model", e.model->name}, {"object", "list"}, {"usage", {{"prompt_tokens", e.tokens}, {"total_tokens", e.tokens}}},
              {"results", std::move(results)}, {"meta", {{"api_version", {{"version", "1"}}}, {"billed_units", {{"search_units", 1}}}}}});
}

void score(Service& service, Call& call) {
  const Json& body = call.body();
  auto model = embedding_model(service, body);
  call.answered_by(model->name, model->hash);
  auto first = texts_field(body, "text_1", kMostDocuments);
  const auto second = texts_field(body, "text_2", kMostDocuments);
  if (first.empty() || second.empty() || (first.size() != 1 && first.size() != second.size()))
    refuse_field("text_1", "\"text_1\" must be one text, or as many as \"text_2\" has");
  const size_t heads = first.size();
  first.insert(first.end(), second.begin(), second.end());
  const Embedded e = embed(call, std::move(model), first);
  Json data = Json::array();
  for (size_t i = 0; i < second.size(); ++i) data.push_back({{"index", i}, {"object", "score"}, {"score", cosine(e, heads == 1 ? 0 : i, heads + i)}});
  call.reply({{"id", "score-" + call.id()}, {"object", "list"}, {"created", call.created()}, {"model", e.model->name}, {"data", std::move(data)},
              {"usage", {{"prompt_tokens", e.tokens}, {"total_tokens", e.tokens}}}});
}

constexpr std::string_view kRerank = R"({"type":"object","required":["query","documents"],"properties":{"model":{"type":"string"},"query":{"type":"string","minLength":1},
  "documents":{"type":"array","minItems":1,"items":{"anyOf":[{"type":"string"},{"type":"object","properties":{"text":{"type":"string"}}}]}},
  "top_n":{"type":"integer","minimum":1},"return_documents":{"type":"boolean"}}})";
constexpr std::string_view kScore = R"({"type":"object","required":["text_1","text_2"],"properties":{"model":{"type":"string"},
  "text_1":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},"text_2":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}}})";

}  // namespace

void add_rerank_routes(ApiRoutes& routes) {
  for (const char* path : {"/v1/rerank", "/rerank", "/v2/rerank"}) routes.push_back({"POST", path, Scope::kInfer, "Documents by how near they are to a question.", kRerank, rerank});
  for (const char* path : {"/v1/score", "/score"}) routes.push_back({"POST", path, Scope::kInfer, "How near two texts are.", kScore, score});
}

}  // namespace ingot
