// recipe.toml: what an AI is for, what it learns from, what it may talk about, how it is judged and served.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guard/rail_mode.h"

namespace ingot {

struct Recipe {
  std::string name = "ai";           // file name and model id; letters, digits, - _ .
  std::string kind = "triage";       // triage | classify | chat
  std::string purpose;               // one sentence; shown when a question is declined
  std::string base = "none";         // the language model it starts from; "none": words alone

  struct Data {
    std::vector<std::string> sources;  // KIND:PATH
    std::vector<std::string> test;     // KIND:PATH, already later in time than `sources`; empty: split by time
    std::string map;                   // field=Column, ...
    double holdout = 0.2;              // share of the newest records kept for the test when `test` is empty
    int64_t max_records = 20000;       // the newest that training looks at; the rest are counted and named
  } data;

  struct Train {
    bool llama = true;       // features of the frozen trunk
    bool similar = true;     // similar past records
    bool activity = true;    // who was lately active where
    bool ablation = true;    // measure what each signal adds, drop what adds nothing
    int64_t seed = 1;
  } train;

  struct Chat {                       // kind "chat"
    std::string system;               // system message for conversations that bring none
    int64_t rank = 16;                // of the adapter
    double alpha = 32;                // it counts alpha / rank
    double epochs = 2, rate = 2e-4;
    int64_t batch = 16;               // conversations of a step
    int64_t max_steps = 0;            // 0: as many as the epochs take
    int64_t longest = 1024;           // tokens of a conversation
    std::string too_long = "refuse";  // or "window"
    int64_t micro_tokens = 512;       // tokens of a pass; bounds memory
    bool recompute = false;           // compute activations again instead of keeping them
    int64_t judged = 50;              // held-out questions that are answered and compared
    int64_t max_tokens = 128;         // of an answer
  } chat;
  bool pack_full = false;             // pack the base too, instead of naming it by hash

  struct Guard {
    RailMode topic = RailMode::off;
    RailMode private_data = RailMode::off;
    RailMode injection = RailMode::off;
    double topic_keep = 0;               // share of on-topic text the threshold must keep on held-out text; 0: as the encoder allows
    double topic_stop = 0;               // 0, or the share of other subjects that lets the threshold sink below topic_keep
    std::vector<std::string> examples;   // more texts that are on topic
    std::vector<std::string> never;      // texts that are not
    std::vector<std::string> words;      // words and RE2 patterns that must not occur
    int64_t longest = 0;                 // bytes of a question; 0: any length
    RailMode language = RailMode::off, repetition = RailMode::off;
    std::vector<std::string> languages;  // ISO 639-1 codes that are spoken here
    std::string encoder = "embedded";    // of the topic rail: the word vectors alone, or a sentence encoder beside them; "auto": the starter's if it is pulled
    std::vector<std::string> open;       // rails that let pass when they cannot run
    struct {
      std::optional<RailMode> injection, private_data;  // empty: as for what is asked, and off
    } retrieved;
    struct {
      std::optional<RailMode> private_data;             // empty: as for what is asked
      RailMode topic = RailMode::off, language = RailMode::off, repetition = RailMode::off, grounding = RailMode::off;
      int64_t longest = 0;
    } output;
  } guard;

  struct Gate {
    double engineer_top1 = 0;    // the least that may be packed
    double component_top1 = 0;
    double accuracy = 0;         // kind "classify"
    double rouge_l = 0;          // kind "chat"
    bool beat_base = true;       // kind "chat": held-out answers must be likelier than under the base as it is
    bool beat_majority = true;   // an AI that does not beat the most common answer is not worth packing
  } gate;

  struct Fly {                   // when a challenger takes the champion's place
    double may_lose = 0.01;      // on average, of any share that is measured on many held-out records
    double may_forget = 0.25;    // share of what it had right on the older held-out records, once the latest corrections judge
    double must_gain = 0;        // on the latest corrections that neither has seen, where there are enough
    int64_t fewest = 50;         // held-out records and latest corrections; with fewer nothing is promoted
  } fly;

  struct Serve {
    bool flywheel = true;        // corrections may build a challenger
    int64_t turn_after = 20;     // pieces of feedback since the last turn, before one starts by itself
  } serve;

  std::string text;              // recipe.toml as it was read, with --set applied at the end as comments
  std::filesystem::path folder;  // where it was read
};

// Reads FOLDER/recipe.toml (or a file). Unknown keys, wrong types and values out of range throw Error (recipe) with the line
// and, for a key, the nearest known name. `settings` are KEY=VALUE as given to --set; they win over the file.
Recipe read_recipe(const std::filesystem::path& folder_or_file, const std::vector<std::string>& settings = {});
// The same from text; `where` names it in errors.
Recipe parse_recipe(std::string_view toml, const std::string& where, const std::vector<std::string>& settings = {});
// recipe.text of an earlier parse, as AIs are packed with it: what was set on the command line counts again.
Recipe packed_recipe(std::string_view text, const std::string& where);

// Every key a recipe may have, for help and tests.
std::vector<std::string> recipe_keys();

}  // namespace ingot
