#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

using Json = nlohmann::ordered_json;

// GPT-2's printable alphabet: byte -> code point and back.
struct Alphabet {
  int32_t code[256];
  std::map<int32_t, unsigned char> byte;
  Alphabet() {
    int next = 256;
    for (int b = 0; b < 256; ++b) {
      bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174);
      code[b] = printable ? b : next++;
      byte[code[b]] = static_cast<unsigned char>(b);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet a;
  return a;
}

std::string shown(std::string_view raw) {
  std::string out;
  for (unsigned char b : raw) {
    int32_t c = alphabet().code[b];
    if (c < 128) out += static_cast<char>(c);
    else (out += static_cast<char>(0xc0 | c >> 6)) += static_cast<char>(0x80 | (c & 63));
  }
  return out;
}

// Text outside the alphabet (an added token) stands for itself.
std::string raw(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto b = static_cast<unsigned char>(text[i]);
    int32_t c = b;
    if (b >= 0xc0 && b < 0xe0 && i + 1 < text.size()) c = (b & 31) << 6 | (text[++i] & 63);
    else if (b >= 0x80) return std::string(text);
    auto it = alphabet().byte.find(c);
    if (it == alphabet().byte.end()) return std::string(text);
    out += static_cast<char>(it->second);
  }
  return out;
}

std::pair<int32_t, int32_t> merge_of(const std::string& left, const std::string& right, const std::unordered_map<std::string, int32_t>& ids, const std::string& name) {
  auto a = ids.find(left), b = ids.find(right);
  if (a == ids.end() || b == ids.end()) bad_input("the merge \"" + left + " " + right + "\" names a token that the vocabulary lacks", name, "use the model's own tokenizer");
  return {a->second, b->second};
}

std::pair<std::string, std::string> split_merge(const std::string& line, const std::string& name) {
  size_t space = line.find(' ');
  if (space == std::string::npos) bad_input("the merge \"" + line + "\" has no space", name, "use the model's own tokenizer");
  return {line.substr(0, space), line.substr(space + 1)};
}

PreTokenizer pre_of(const Json& json, const std::string& name) {
  if (!json.is_object()) return PreTokenizer::kGpt2;
  std::string dump = json.dump();
  if (dump.find("\\\\p{N}{1,3}") != std::string::npos) return PreTokenizer::kLlama3;
  if (dump.find("(?i:'s|'t") != std::string::npos) return PreTokenizer::kQwen2;
  if (dump.find("\"Digits\"") != std::string::npos) return PreTokenizer::kSmolLm;
  if (dump.find("\"ByteLevel\"") != std::string::npos) return PreTokenizer::kGpt2;
  bad_input("the pre-tokenizer " + dump.substr(0, 120) + " is not supported", name, "use a model with GPT-2, SmolLM, Llama 3 or Qwen 2 pre-tokenization");
}

constexpr const char* kGptNames[] = {"gpt-2", "smollm", "llama-bpe", "qwen2"};
constexpr const char* kSplit[] = {
    "", "",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"};

Json byte_level(bool regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", regex}};
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view text, const std::string& name) try {
  Json json = Json::parse(text);
  const Json& model = json.at("model");
  if (model.value("type", "BPE") != "BPE" || model.value("byte_fallback", false))
    bad_input("the tokenizer is " + model.value("type", "unknown") + (model.value("byte_fallback", false) ? " with byte fallback" : "") + ", expected byte-level BPE", name, "use a model with a byte-level BPE tokenizer");
  std::unordered_map<std::string, int32_t> ids;
  int64_t most = -1;
  for (const auto& [piece, id] : model.at("vocab").items()) {
    ids[piece] = id.get<int32_t>();
    most = std::max<int64_t>(most, id.get<int32_t>());
  }
  std::vector<AddedToken> added;
  if (json.contains("added_tokens"))
    for (const Json& token : json["added_tokens"]) {
      added.push_back({token.at("content").get<std::string>(), token.at("id").get<int32_t>(), token.value("special", false)});
      most = std::max<int64_t>(most, added.back().id);
    }
  if (most < 0 || most > 2 * static_cast<int64_t>(ids.size() + added.size())) bad_input("the ids reach " + std::to_string(most) + ", but there are " + std::to_string(ids.size()) + " tokens", name, "use the model's own tokenizer");
  std::vector<std::string> vocab(static_cast<size_t>(most + 1));
  for (const auto& [piece, id] : ids) {
    if (id < 0) bad_input("a negative token id", name, "use the model's own tokenizer");
    vocab[static_cast<size_t>(id)] = raw(piece);
  }
  for (const AddedToken& token : added)
    if (token.id >= 0) vocab[static_cast<size_t>(token.id)] = token.text;
  std::vector<std::pair<int32_t, int32_t>> merges;
  for (const Json& merge : model.at("merges")) {
    auto [a, b] = merge.is_array() ? std::pair(merge.at(0).get<std::string>(), merge.at(1).get<std::string>()) : split_merge(merge.get<std::string>(), name);
    merges.push_back(merge_of(a, b, ids, name));
  }
  auto tokenizer = std::make_shared<Tokenizer>(std::move(vocab), std::move(merges), std::move(added), pre_of(json.value("pre_tokenizer", Json()), name));
  for (const char* end : {"<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "</s>"})
    if (tokenizer->eos < 0) tokenizer->eos = tokenizer->find(end);
  return tokenizer;
} catch (const nlohmann::json::exception& error) {
  bad_input(std::string("not a usable tokenizer.json: ") + error.what(), name, "use the model's own tokenizer.json");
}

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const Gguf& gguf) {
  if (gguf.text("tokenizer.ggml.model") != "gpt2")
    bad_input("the tokenizer is \"" + gguf.text("tokenizer.ggml.model") + "\", expected \"gpt2\" (byte-level BPE)", gguf.name(), "use a model with a byte-level BPE tokenizer");
  auto texts = [&](const char* key) -> const std::vector<std::string>& {
    auto it = gguf.metadata().find(key);
    auto* list = it == gguf.metadata().end() ? nullptr : std::get_if<std::vector<std::string>>(&it->second.value);
    if (!list) bad_input(std::string("the key ") + key + " is missing or no list of texts", gguf.name(), "use a complete model file");
    return *list;
  };
  const auto& tokens = texts("tokenizer.ggml.tokens");
  std::vector<int64_t> types;
  if (auto it = gguf.metadata().find("tokenizer.ggml.token_type"); it != gguf.metadata().end())
    if (auto* list = std::get_if<std::vector<int64_t>>(&it->second.value)) types = *list;
  std::unordered_map<std::string, int32_t> ids;
  std::vector<std::string> vocab;
  std::vector<AddedToken> added;
  for (size_t i = 0; i < tokens.size(); ++i) {
    int64_t type = i < types.size() ? types[i] : 1;
    bool is_added = type == 3 || type == 4;
    if (is_added && !tokens[i].empty()) added.push_back({tokens[i], static_cast<int32_t>(i), type == 3});
    ids.emplace(tokens[i], static_cast<int32_t>(i));
    vocab.push_back(is_added ? tokens[i] : raw(tokens[i]));
  }
  std::vector<std::pair<int32_t, int32_t>> merges;
  for (const std::string& line : texts("tokenizer.ggml.merges")) {
    auto [a, b] = split_merge(line, gguf.name());
    merges.push_back(merge_of(a, b, ids, gguf.name()));
  }
  std::string pre = gguf.text("tokenizer.ggml.pre", "gpt-2");
  PreTokenizer kind;
  if (pre == "gpt-2" || pre == "default") kind = PreTokenizer::kGpt2;
  else if (pre == "smollm") kind = PreTokenizer::kSmolLm;
  else if (pre == "llama-bpe" || pre == "llama3") kind = PreTokenizer::kLlama3;
  else if (pre == "qwen2") kind = PreTokenizer::kQwen2;
  else bad_input("the pre-tokenizer \"" + pre + "\" is not supported", gguf.name(), "use a model with gpt-2, smollm, llama-bpe or qwen2 pre-tokenization");
  auto tokenizer = std::make_shared<Tokenizer>(std::move(vocab), std::move(merges), std::move(added), kind);
  auto id_of = [&](const char* key) {
    int64_t id = gguf.integer(key, -1);
    if (id >= static_cast<int64_t>(tokens.size())) bad_input(std::string(key) + " is outside the vocabulary", gguf.name(), "use a complete model file");
    return static_cast<int32_t>(id);
  };
  tokenizer->bos = id_of("tokenizer.ggml.bos_token_id");
  tokenizer->eos = id_of("tokenizer.ggml.eos_token_id");
  tokenizer->pad = id_of("tokenizer.ggml.padding_token_id");
  tokenizer->add_bos = gguf.boolean("tokenizer.ggml.add_bos_token", kind == PreTokenizer::kLlama3);
  tokenizer->chat_template = gguf.text("tokenizer.chat_template", "");
  return tokenizer;
}

std::string Tokenizer::to_json() const {
  std::vector<bool> is_added(vocab_.size());
  Json added = Json::array(), vocab = Json::object(), merges = Json::array(), pre;
  auto sorted = added_;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const AddedToken& t : sorted) {
    is_added[static_cast<size_t>(t.id)] = true;
    added.push_back({{"id", t.id}, {"content", t.text}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", t.special}});
  }
  for (size_t i = 0; i < vocab_.size(); ++i) vocab[is_added[i] ? vocab_[i] : shown(vocab_[i])] = i;
  for (auto [a, b] : merges_) merges.push_back(shown(piece(a)) + " " + shown(piece(b)));
  if (pre_ == PreTokenizer::kGpt2) pre = byte_level(true);
  else if (pre_ == PreTokenizer::kSmolLm) pre = {{"type", "Sequence"}, {"pretokenizers", {Json{{"type", "Digits"}, {"individual_digits", true}}, byte_level(true)}}};
  else pre = {{"type", "Sequence"}, {"pretokenizers", {Json{{"type", "Split"}, {"pattern", {{"Regex", kSplit[static_cast<int>(pre_)]}}}, {"behavior", "Isolated"}, {"invert", false}}, byte_level(false)}}};
  Json json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}, {"normalizer", nullptr},
               {"pre_tokenizer", pre}, {"post_processor", byte_level(true)}, {"decoder", byte_level(true)},
               {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr},
                          {"end_of_word_suffix", nullptr}, {"fuse_unk", false}, {"byte_fallback", false}, {"vocab", vocab}, {"merges", merges}}}};
  return json.dump(1, ' ', false) + "\n";
}

void Tokenizer::to_gguf(GgufWriter& writer) const {
  std::vector<std::string> tokens, merges;
  std::vector<int64_t> types(vocab_.size(), 1);
  for (const AddedToken& t : added_) types[static_cast<size_t>(t.id)] = t.special ? 3 : 4;
  for (size_t i = 0; i < vocab_.size(); ++i) tokens.push_back(types[i] == 1 ? shown(vocab_[i]) : vocab_[i]);
  for (auto [a, b] : merges_) merges.push_back(shown(piece(a)) + " " + shown(piece(b)));
  writer.set("tokenizer.ggml.model", GgufValue::text("gpt2"));
  writer.set("tokenizer.ggml.pre", GgufValue::text(kGptNames[static_cast<int>(pre_)]));
  writer.set("tokenizer.ggml.tokens", GgufValue::texts(std::move(tokens)));
  writer.set("tokenizer.ggml.token_type", GgufValue::i32s(std::move(types)));
  writer.set("tokenizer.ggml.merges", GgufValue::texts(std::move(merges)));
  writer.set("tokenizer.ggml.add_bos_token", GgufValue::boolean(add_bos));
  if (bos >= 0) writer.set("tokenizer.ggml.bos_token_id", GgufValue::u32(static_cast<uint32_t>(bos)));
  if (eos >= 0) writer.set("tokenizer.ggml.eos_token_id", GgufValue::u32(static_cast<uint32_t>(eos)));
  if (pad >= 0) writer.set("tokenizer.ggml.padding_token_id", GgufValue::u32(static_cast<uint32_t>(pad)));
  if (!chat_template.empty()) writer.set("tokenizer.chat_template", GgufValue::text(chat_template));
}

}  // namespace ingot
