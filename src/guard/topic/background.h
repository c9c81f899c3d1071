// Everything else: what people ask about subjects that an AI is not for.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

struct Background {
  std::vector<std::string> texts;
  std::vector<int> subject;            // (texts) index into subjects
  std::vector<std::string> subjects;
};

// subjects: "= NAME" begins a subject, each line below is a text, "{slot}" stands for one of the words of `words`, lines of
// "slot: a; b; c". A line with slots becomes `most` texts at most. The same result on every machine. Throws Error (input).
Background read_background(std::string_view subjects, std::string_view words, int most = 4);

// recipes/background of this installation. Throws Error (environment) when it is not there.
Background shipped_background();

// How people report bugs in plain words, whatever their software: what an AI of kind "triage" is asked beside what its data say.
std::vector<std::string> shipped_bug_phrases();

}  // namespace ingot
