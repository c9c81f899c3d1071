#include "train/vocabulary_trim.h"

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/error.h"

namespace ingot {

TrimmedVocabulary trim_vocabulary(const Tokenizer& tokenizer, const std::vector<bool>& used) {
  using nlohmann::json;
  json all = json::parse(tokenizer.to_json());
  std::vector<bool> keep = used;
  std::vector<std::string> names(used.size());  // in tokenizer.json's alphabet
  for (const auto& [name, id] : all["model"]["vocab"].items()) names.at(id.get<size_t>()) = name;
  for (const json& added : all["added_tokens"]) keep.at(added["id"].get<size_t>()) = true;
  for (int32_t id : {tokenizer.bos, tokenizer.eos, tokenizer.pad})
    if (id >= 0) keep.at(static_cast<size_t>(id)) = true;
  for (size_t id = 0; id < used.size(); ++id)
    if (tokenizer.piece(static_cast<int32_t>(id)).size() == 1) keep[id] = true;
  std::unordered_map<std::string, size_t> ids;
  for (size_t id = 0; id < names.size(); ++id) ids[names[id]] = id;
  struct Merge {
    std::string left, right;
  };
  std::vector<Merge> merges;
  for (const json& merge : all["model"]["merges"]) {
    if (merge.is_array()) {
      merges.push_back({merge[0], merge[1]});
    } else {
      const std::string text = merge;
      const size_t space = text.find(' ');
      merges.push_back({text.substr(0, space), text.substr(space + 1)});
    }
  }
  // A merge's parts are older than the merge, so one pass from the youngest finds all that is needed.
  for (size_t i = merges.size(); i-- > 0;) {
    auto made = ids.find(merges[i].left + merges[i].right);
    if (made == ids.end() || !keep[made->second]) continue;
    for (const std::string& part : {merges[i].left, merges[i].right})
      if (auto at = ids.find(part); at != ids.end()) keep[at->second] = true;
  }
  TrimmedVocabulary out;
  out.to_small.assign(used.size(), -1);
  json vocab = json::object(), kept_merges = json::array();
  for (size_t id = 0; id < used.size(); ++id) {
    if (!keep[id]) continue;
    out.to_small[id] = static_cast<int32_t>(out.kept.size());
    vocab[names[id]] = out.kept.size();
    out.kept.push_back(static_cast<int32_t>(id));
  }
  auto there = [&](const std::string& name) {
    auto at = ids.find(name);
    return at != ids.end() && keep[at->second];
  };
  for (const Merge& merge : merges)
    if (there(merge.left) && there(merge.right) && there(merge.left + merge.right)) kept_merges.push_back(merge.left + " " + merge.right);
  for (json& added : all["added_tokens"]) added["id"] = out.to_small[added["id"].get<size_t>()];
  all["model"]["vocab"] = vocab;
  all["model"]["merges"] = kept_merges;
  auto small = std::const_pointer_cast<Tokenizer>(Tokenizer::from_json(all.dump(-1, ' ', false, json::error_handler_t::replace), "trimmed vocabulary"));
  auto moved = [&](int32_t id) { return id < 0 ? id : out.to_small[static_cast<size_t>(id)]; };
  small->bos = moved(tokenizer.bos), small->eos = moved(tokenizer.eos), small->pad = moved(tokenizer.pad);
  small->add_bos = tokenizer.add_bos;
  small->chat_template = tokenizer.chat_template;
  out.tokenizer = small;
  return out;
}

}  // namespace ingot
