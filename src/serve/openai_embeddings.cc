#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "models/text_encoder.h"
#include "text/tokenizer.h"
#include "serve/call.h"
#include "serve/embeddings.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {

constexpr size_t kMostTexts = 2048;
constexpr size_t kAtOnce = 16;  // texts between two looks at whether the client is still there

std::shared_ptr<const ServedModel> embedding_model(Service& service, const Json& body) {
  auto model = service.models().acquire(text_field(body, "model"));
  if (!model->encoder) refuse_field("model", fmt::format("\"{}\" does not embed texts", model->name));
  return model;
}

Embedded embed(Call& call, std::shared_ptr<const ServedModel> model, const std::vector<std::string>& texts) {
  Embedded out;
  out.width = static_cast<size_t>(model->encoder->width());
  for (const std::string& text : texts)
    if (model->tokenizer) out.tokens += static_cast<int64_t>(model->tokenizer->encode(text).size());
  for (size_t i = 0; i < texts.size() && !call.gone(); i += kAtOnce) {
    const auto part = std::span(texts).subspan(i, std::min(kAtOnce, texts.size() - i));
    std::vector<int> windows;
    const auto rows = model->encoder->encode(part, &windows);
    out.rows.insert(out.rows.end(), rows.begin(), rows.end());
    out.windows.insert(out.windows.end(), windows.begin(), windows.end());
  }
  out.rows.resize(texts.size() * out.width);
  out.windows.resize(texts.size(), 1);
  call.usage.prompt_tokens = out.tokens;
  out.model = std::move(model);
  return out;
}

double cosine(const Embedded& e, size_t a, size_t b) {
  double sum = 0;
  for (size_t i = 0; i < e.width; ++i) sum += static_cast<double>(e.row(a)[i]) * e.row(b)[i];
  return sum;
}

namespace {

std::string base64(const std::string& bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

// Texts, or token ids of a model whose tokenizer can put them back into words.
std::vector<std::string> inputs_of(const Json& body, const ServedModel& model) {
  const Json* input = field(body, "input");
  const bool ids = input && input->is_array() && !input->empty() && ((*input)[0].is_number() || (*input)[0].is_array());
  if (!ids) {
    auto texts = texts_field(body, "input", kMostTexts);
    if (texts.empty()) refuse_field("input", "\"input\" is empty");
    for (const std::string& text : texts)
      if (text.empty()) refuse_field("input", "a text of \"input\" is empty");
    return texts;
  }
  if (!model.tokenizer) refuse_field("input", fmt::format("\"{}\" takes texts, not token ids", model.name));
  const Tokenizer& tokenizer = *model.tokenizer;
  const Json lists = (*input)[0].is_array() ? *input : Json::array({*input});
  if (lists.size() > kMostTexts) refuse_field("input", fmt::format("\"input\" has {} texts, at most {} are taken at once", lists.size(), kMostTexts));
  std::vector<std::string> texts;
  for (const Json& list : lists) {
    std::vector<int32_t> tokens;
    if (!list.is_array()) refuse_field("input", "\"input\" mixes token ids and lists of them");
    for (const Json& one : list) {
      const int64_t id = one.is_number_integer() ? one.get<int64_t>() : -1;
      if (id < 0 || id >= tokenizer.size()) refuse_field("input", fmt::format("\"input\" holds what is no token of this model, which has {}", tokenizer.size()));
      tokens.push_back(static_cast<int32_t>(id));
    }
    texts.push_back(repair_utf8(tokenizer.decode(tokens)));
    if (texts.back().empty()) refuse_field("input", "a text of \"input\" is empty");
  }
  return texts;
}

void embeddings(Service& service, Call& call) {
  const Json& body = call.body();
  auto model = embedding_model(service, body);
  call.answered_by(model->name, model->hash);
  const std::string format = text_field(body, "encoding_format", "float");
  if (format != "float" && format != "base64") refuse_field("encoding_format", "\"encoding_format\" must be float or base64");
  const auto width = model->encoder->width();
  const auto dimensions = static_cast<size_t>(whole_field(body, "dimensions", width, 1, width));
  const auto inputs = inputs_of(body, *model);
  const Embedded e = embed(call, std::move(model), inputs);
  Json data = Json::array(), windows = Json::array();
  bool cut = false;
  for (size_t i = 0; i < e.windows.size(); ++i) {
    std::vector<float> row(e.row(i), e.row(i) + dimensions);
    if (dimensions < e.width) {  // the first numbers, again of unit length
      double square = 0;
      for (const float v : row) square += static_cast<double>(v) * v;
      const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
      for (float& v : row) v = static_cast<float>(v * scale);
    }
    Json one = {{"object", "embedding"}, {"index", i}};
    if (format == "float") one["embedding"] = row;
    else one["embedding"] = base64(std::string(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)));
    data.push_back(std::move(one));
    windows.push_back(e.windows[i]);
    cut = cut || e.windows[i] > 1;
  }
  Json out = {{"id", "embd-" + call.id()}, {"object", "list"}, {"created", call.created()}, {"model", e.model->name}, {"data", std::move(data)},
              {"usage", {{"prompt_tokens", e.tokens}, {"total_tokens", e.tokens}}}};
  if (cut) out["windows"] = std::move(windows);  // texts longer than the context: how many pieces were pooled for each
  call.reply(out);
}

constexpr std::string_view kEmbeddingsBody = R"({"type":"object","required":["input"],"properties":{"model":{"type":"string"},
  "input":{"anyOf":[{"type":"string"},{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"array","items":{"type":"integer"}}]}}]},
  "encoding_format":{"enum":["float","base64"]},"dimensions":{"type":"integer","minimum":1},"user":{"type":"string"}}})";

}  // namespace

void add_embeddings_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/embeddings", Scope::kInfer, "Vectors of texts, of unit length.", kEmbeddingsBody, embeddings});
}

}  // namespace ingot
