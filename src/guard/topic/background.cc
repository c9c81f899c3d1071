#include "guard/topic/background.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"

namespace ingot {
namespace {

template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    ++number;
    if (end > 0) visit(text.substr(0, end), number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

Background read_background(std::string_view subjects, std::string_view words, int most) {
  std::map<std::string, std::vector<std::string>, std::less<>> slots;
  for_each_line(words, [&](std::string_view line, size_t number) {
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) bad_input("a line is not \"slot: a; b; c\"", fmt::format("words.txt:{}", number), "mend the line");
    auto& list = slots[std::string(line.substr(0, colon))];
    for (size_t at = colon + 2; at < line.size();) {
      const size_t end = std::min(line.find("; ", at), line.size());
      list.emplace_back(line.substr(at, end - at));
      at = end + 2;
    }
  });
  Background result;
  Random random(1);
  for_each_line(subjects, [&](std::string_view line, size_t number) {
    if (line.starts_with("= ")) {
      result.subjects.emplace_back(line.substr(2));
      return;
    }
    if (result.subjects.empty()) bad_input("a text stands before the first subject", fmt::format("subjects.txt:{}", number), "begin with \"= NAME\"");
    const size_t before = result.texts.size();
    const int copies = line.find('{') == std::string_view::npos ? 1 : most;
    for (int copy = 0; copy < copies; ++copy) {
      std::string text;
      for (size_t at = 0; at < line.size();) {
        const size_t open = std::min(line.find('{', at), line.size());
        text += line.substr(at, open - at);
        if (open == line.size()) break;
        const size_t close = line.find('}', open);
        const auto slot = close == std::string_view::npos ? slots.end() : slots.find(line.substr(open + 1, close - open - 1));
        if (slot == slots.end()) bad_input("a slot has no words", fmt::format("subjects.txt:{}", number), "name it in words.txt");
        text += slot->second[random.below(slot->second.size())];
        at = close + 1;
      }
      if (std::find(result.texts.begin() + static_cast<long>(before), result.texts.end(), text) == result.texts.end()) {
        result.texts.push_back(std::move(text));
        result.subject.push_back(static_cast<int>(result.subjects.size()) - 1);
      }
    }
  });
  return result;
}

namespace {

Background shipped(const char* subjects, const char* words, int most) {
  const auto folder = share_dir() / "recipes/background";
  for (const char* name : {subjects, words}) {
    if (!std::filesystem::exists(folder / name)) {
      throw Error(ErrorKind::environment, "texts are missing without which no topic rail can be made", (folder / name).string(), "install Ingot's share folder beside the binary");
    }
  }
  return read_background(read_file(folder / subjects), read_file(folder / words), most);
}

}  // namespace

Background shipped_background() {
  Background background = shipped("subjects.txt", "words.txt", 4);
  // The same questions as people begin them, so that a polite opening says nothing about the subject.
  static constexpr const char* kOpenings[] = {"please ", "can you ", "could you tell me ", "i need to know ", "hey, ", "i would like to know ", "do you know ", "can you help me: ",
                                              "i want you to tell me ", "would you please ", "i was wondering, ", "tell me, ", "let me know ", "i am curious, ", "so, ", "help me out, ",
                                              "i have got a question, ", "what i need to know is ", "i need you to ", "i'd like to ", "is there a way to ", "i want to "};
  Random random(2);
  const size_t count = background.texts.size();
  for (size_t i = 0; i < count; ++i) {
    background.texts.push_back(kOpenings[random.below(std::size(kOpenings))] + background.texts[i]);
    background.subject.push_back(background.subject[i]);
  }
  return background;
}
std::vector<std::string> shipped_bug_phrases() { return shipped("bugs.txt", "bug_words.txt", 8).texts; }

}  // namespace ingot
