// The AIs and plain models that are served, by name: opened on first use within a memory budget, replaced without a dropped request.
// Chat AIs over the same base (by hash), and that base served as a plain model, share its weights, its engine and its cache: the name
// that a request asks for picks the adapter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ops/kv_cache.h"
#include "runtime/sampling_advice.h"

namespace ingot {

class Ai;
class ChatTemplate;
class ConstraintFactory;
class Engine;
struct LanguageModel;
class LoraAdapter;
class TextEncoder;
class Tokenizer;

// One version of a model, ready to answer. Immutable; a request keeps the one that it began with.
struct ServedModel {
  std::string name, kind;  // kind: the AI's ("triage", "classify", ...), "language" or "encoder" for plain models
  std::string hash;        // of the AI; of a plain model: of its size, beginning and end
  std::string path;
  int64_t created = 0;     // seconds since 1970: the file's time
  int64_t bytes = 0;       // that it may take of the memory, its base included
  std::shared_ptr<const Ai> ai;               // null: a plain model
  std::string system;                         // put before conversations that bring no system message
  int64_t answer_tokens = 0;                  // of an answer whose request names no limit; 0: as the service has it
  std::shared_ptr<Engine> engine;             // null: does not generate. One for all AIs over the same base
  std::shared_ptr<const LoraAdapter> adapter; // of a chat AI over its base; null: none
  std::shared_ptr<const ChatTemplate> chat;   // null: cannot converse, chat_fault says why
  std::shared_ptr<const ChatTemplate> tool_chat;  // for conversations with tools; null: the same
  std::string chat_fault;
  SamplingAdvice advice;                      // where a request says nothing
  std::shared_ptr<const Tokenizer> tokenizer; // null: an AI that only ranks
  std::shared_ptr<const TextEncoder> encoder; // null: does not embed
  std::shared_ptr<ConstraintFactory> constraints;  // null: answers cannot be held to a schema
};

struct RegistryOptions {
  int64_t memory_bytes = 0;  // for weights and caches; 0: three quarters of the machine's
  int64_t cache_bytes = int64_t{1} << 30;  // of keys and values, for each language model
  CacheType cache = CacheType::kF16;
  int64_t context = 0;       // tokens of a conversation at most; 0: as the model has it
  int64_t running = 256;     // answers of a model that are worked on at once
  int64_t draft = 0;         // tokens to guess ahead, at most
  std::string draft_model;   // guesses for the models with its vocabulary; empty: the text so far guesses
  std::function<void(const std::string&)> log = [](const std::string&) {};
};

class ModelRegistry {
 public:
  explicit ModelRegistry(RegistryOptions options);

  // what: NAME.ingot, a .gguf file, a Hugging Face folder, ingot-base or a pulled model's name, each but the first also with a LoRA
  // adapter: "WHAT+ADAPTER"; "NAME=WHAT" names it otherwise.
  // An AI is opened at once; a plain model is checked, and loaded when it is first used. Throws Error: it is not there or broken, or
  // the name is taken.
  void add(const std::string& what);
  void add(std::shared_ptr<const Ai> ai);

  // Loads it if need be. Empty: the first that was added. Throws Refusal: 404 unknown, 503 there is no room now, 500 its
  // file broke since it was added.
  std::shared_ptr<const ServedModel> acquire(const std::string& name);
  std::shared_ptr<const Ai> ai(const std::string& name) const;  // as acquire, without loading; null for a plain model

  // Later requests get the new version, those under way end with the old one. Throws Refusal 404.
  void replace(const std::string& name, std::shared_ptr<const Ai> ai);
  struct Reloaded {
    std::vector<std::string> replaced;
    std::vector<std::pair<std::string, std::string>> failed;  // name, why its file does not open: its old version stays
  };
  // Opens anew every AI whose file was replaced (by rename: an open file is mapped) since it was opened.
  Reloaded reload();
  // Back to the version before the last replace(); false if there is none.
  bool roll_back(const std::string& name);

  struct Listed {
    std::string name, kind, hash, path;
    int64_t created = 0, bytes = 0;
    bool loaded = false;
    size_t versions = 1;                       // that can be gone back to, and this one
    std::shared_ptr<const ServedModel> model;  // null unless loaded
    std::shared_ptr<const Ai> ai;
  };
  std::vector<Listed> list() const;  // in the order they were added
  std::string first() const;
  int64_t memory_bytes() const { return options_.memory_bytes; }
  size_t size() const;

 private:
  struct Entry;
  struct FileStamp;
  Entry& find(const std::string& name) const;  // REQUIRES: mutex_ is held
  void insert(std::shared_ptr<Entry> entry);
  struct Language;
  std::shared_ptr<const ServedModel> load(const Entry& entry, const std::shared_ptr<const Ai>& ai);
  std::shared_ptr<const Language> open_language(const std::string& hash, const std::function<LanguageModel(Language&)>& open);
  void share_bases();                          // REQUIRES: mutex_ is held
  int64_t used(const Entry* with) const;       // bytes of what is loaded, and of this one; REQUIRES: mutex_ is held
  int64_t engine_bytes() const;
  void make_room(Entry& for_whom);

  RegistryOptions options_;
  mutable std::mutex mutex_;  // guards all below
  std::mutex loading_;        // one load at a time, so that the budget holds; taken before mutex_
  std::vector<std::shared_ptr<Entry>> entries_;
  std::map<std::string, std::weak_ptr<const Language>> languages_;  // by hash of the base; under loading_
  uint64_t clock_ = 0;
};

}  // namespace ingot
