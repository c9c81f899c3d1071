#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/tokenizer_parts.h"

namespace ingot {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson byte_level(bool regex) { return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", regex}}; }

}  // namespace

std::string Tokenizer::to_json() const {
  const TokenizerParts& p = *parts_;
  if (p.kind != TokenizerKind::kByteBpe || !p.normalize.empty()) refuse_tokenizer("only byte-level BPE without a normalizer is written as tokenizer.json", p.name);
  OrderedJson added = OrderedJson::array(), vocab = OrderedJson::object(), merges = OrderedJson::array(), steps = OrderedJson::array();
  std::vector<const AddedToken*> sorted;
  std::vector<bool> is_added(static_cast<size_t>(size()));
  for (const AddedToken& t : p.added) sorted.push_back(&t), is_added[static_cast<size_t>(t.id)] = true;
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  for (const AddedToken* t : sorted)
    added.push_back({{"id", t->id}, {"content", t->text}, {"single_word", t->single_word}, {"lstrip", t->left_strip}, {"rstrip", t->right_strip},
                     {"normalized", t->normalized}, {"special", t->special}});
  auto& pieces = vocab.get_ref<OrderedJson::object_t&>();  // added without looking for the same name, which none has
  for (int32_t id = 0; id < size(); ++id) {
    if (is_added[static_cast<size_t>(id)]) pieces.emplace_back(std::string(piece(id)), id);
    else if (!p.vocab[id].empty()) pieces.emplace_back(to_byte_alphabet(p.vocab[id]), id);
  }
  for (const Merge& m : p.merges) merges.push_back(to_byte_alphabet(p.vocab[m.left]) + " " + to_byte_alphabet(p.vocab[m.right]));
  bool regex = false;
  for (const CutStep& step : p.cuts) {
    if (step.kind == CutKind::kGpt2 && &step == &p.cuts.back()) regex = true;
    else if (step.kind == CutKind::kDigit) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    else if (!regex_of(step.kind).empty())
      steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", regex_of(step.kind)}}}, {"behavior", "Isolated"}, {"invert", false}});
    else refuse_tokenizer("this way to cut text is not written as tokenizer.json", p.name);
  }
  steps.push_back(byte_level(regex));
  const OrderedJson pre = steps.size() == 1 ? steps[0] : OrderedJson{{"type", "Sequence"}, {"pretokenizers", steps}};
  OrderedJson model = {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr}, {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false}, {"byte_fallback", false}};
  if (p.bpe.whole_first) model["ignore_merges"] = true;
  model["vocab"] = vocab;
  model["merges"] = merges;
  OrderedJson json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}, {"normalizer", nullptr},
                      {"pre_tokenizer", pre}, {"post_processor", byte_level(true)}, {"decoder", byte_level(true)}, {"model", model}};
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace ingot
