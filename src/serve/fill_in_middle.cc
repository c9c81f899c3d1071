#include "serve/fill_in_middle.h"

namespace ingot {

MiddleMarks middle_marks(const Tokenizer& tokenizer) {
  const auto first = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (const int32_t id = tokenizer.find(name); id >= 0) return id;
    return int32_t{-1};
  };
  // Qwen and Granite; StarCoder; CodeLlama; DeepSeek.
  MiddleMarks marks;
  marks.prefix = first({"<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>", "<PRE>", "▁<PRE>", "<｜fim▁begin｜>"});
  marks.suffix = first({"<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>", "<SUF>", "▁<SUF>", "<｜fim▁hole｜>"});
  marks.middle = first({"<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<MID>", "▁<MID>", "<｜fim▁end｜>"});
  marks.repository = first({"<|repo_name|>", "<reponame>", "<repo_name>"});
  marks.file = first({"<|file_sep|>", "<file_sep>"});
  return marks;
}

std::vector<int32_t> middle_prompt(const Tokenizer& tokenizer, const MiddleMarks& marks, const std::string& prefix, const std::string& suffix,
                                   const std::vector<std::pair<std::string, std::string>>& extra, const std::string& begun) {
  std::vector<int32_t> ids;
  const auto text = [&](const std::string& words) {
    const auto more = tokenizer.encode(words, false, false);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  if (tokenizer.add_bos && tokenizer.bos >= 0) ids.push_back(tokenizer.bos);
  if (!extra.empty() && marks.file >= 0) {
    if (marks.repository >= 0) {
      ids.push_back(marks.repository);
      text("project\n");
    }
    for (const auto& [name, words] : extra) {
      ids.push_back(marks.file);
      text(name + "\n" + words);
    }
    ids.push_back(marks.file);
    text("current\n");
  }
  ids.push_back(marks.prefix);
  text(prefix);
  ids.push_back(marks.suffix);
  text(suffix);
  ids.push_back(marks.middle);
  text(begun);
  return ids;
}

}  // namespace ingot
