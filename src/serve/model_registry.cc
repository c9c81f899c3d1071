#include "serve/model_registry.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "foundry/ai.h"
#include "models/bert/bert.h"
#include "models/llama/llama_encoder.h"
#include "runtime/constraint.h"
#include "runtime/engine.h"
#include "runtime/open_model.h"
#include "serve/refusal.h"
#include "text/chat_template.h"

namespace ingot {
namespace {

constexpr size_t kVersions = 4;  // kept to go back to

// Tells two files apart without reading gigabytes before the first answer.
std::string fingerprint(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) return hex(sha256(path.string()));
  const MappedFile file(path);
  constexpr size_t kEnd = 1 << 20;
  const auto text = file.text();
  std::string seen = fmt::format("{}:", text.size()) + std::string(text.substr(0, kEnd));
  if (text.size() > kEnd) seen += text.substr(std::max(kEnd, text.size() - kEnd));
  return hex(sha256(seen));
}

int64_t size_on_disk(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) return static_cast<int64_t>(std::filesystem::file_size(path, ignored));
  int64_t sum = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored))
    if (entry.is_regular_file(ignored)) sum += static_cast<int64_t>(entry.file_size(ignored));
  return sum;
}

bool is_sentence_encoder(const std::filesystem::path& path) {
  return std::filesystem::is_regular_file(path / "config.json") && is_bert(HfConfig::open(path / "config.json"));
}

int64_t modified(const std::filesystem::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_mtime : 0;
}

}  // namespace

struct ModelRegistry::Entry {
  std::string name, kind, hash;
  std::filesystem::path path;
  std::string opened_as;  // what open_model takes
  int64_t created = 0, bytes = 0;
  std::shared_ptr<const Ai> ai;
  std::vector<std::shared_ptr<const Ai>> before;  // earlier versions, oldest first
  std::shared_ptr<const ServedModel> loaded;
  uint64_t used = 0;

  bool talks() const { return ai && kind == "chat"; }
  bool leaves() const { return !ai || talks(); }  // what only ranks is small, and stays

  void take(std::shared_ptr<const Ai> next) {
    ai = std::move(next);
    kind = ai->kind();
    hash = ai->hash();
    loaded = nullptr;
    if (talks()) return;  // its engine is made when it is first asked
    auto model = std::make_shared<ServedModel>();
    model->name = name;
    model->kind = kind;
    model->hash = hash;
    model->created = created;
    model->ai = ai;
    model->encoder = ai->base().encoder;
    loaded = std::move(model);
  }
};

ModelRegistry::ModelRegistry(RegistryOptions options) : options_(std::move(options)) {
  if (options_.memory_bytes <= 0) options_.memory_bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE) / 4 * 3;
}

void ModelRegistry::insert(std::shared_ptr<Entry> entry) {
  std::lock_guard lock(mutex_);
  for (const auto& other : entries_)
    if (other->name == entry->name)
      throw Error(ErrorKind::usage, fmt::format("two of what is served are named \"{}\"", entry->name), entry->path.string(), "name one otherwise: serve NAME=FILE");
  entries_.push_back(std::move(entry));
}

void ModelRegistry::add(std::shared_ptr<const Ai> ai) {
  auto entry = std::make_shared<Entry>();
  entry->name = ai->name();
  entry->created = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  entry->take(std::move(ai));
  insert(std::move(entry));
}

void ModelRegistry::add(const std::string& what) {
  std::string name, source = what;
  if (const size_t equals = what.find('='); equals != std::string::npos && equals > 0 && what.find('/') > equals && !std::filesystem::exists(what)) {
    name = what.substr(0, equals);
    source = what.substr(equals + 1);
  }
  auto entry = std::make_shared<Entry>();
  if (std::filesystem::is_regular_file(source) && looks_like_archive(source)) {
    auto ai = Ai::open(source);
    entry->name = name.empty() ? ai->name() : name;
    entry->path = source;
    entry->created = modified(source);
    entry->bytes = size_on_disk(source) + (ai->kind() == "chat" ? options_.cache_bytes : 0);
    entry->take(std::move(ai));
    return insert(std::move(entry));
  }
  entry->path = find_model(source);
  entry->opened_as = source;
  std::filesystem::path named = source;
  if (named.filename().empty()) named = named.parent_path();
  entry->name = !name.empty() ? name : named.extension() == ".gguf" ? named.stem().string() : named.filename().string();
  const bool encoder = is_sentence_encoder(entry->path);
  entry->kind = encoder ? "encoder" : "language";
  entry->created = modified(entry->path);
  entry->bytes = size_on_disk(entry->path) + (encoder ? 0 : options_.cache_bytes);
  insert(std::move(entry));
}

ModelRegistry::Entry& ModelRegistry::find(const std::string& name) const {
  for (const auto& entry : entries_)
    if (name.empty() || entry->name == name) return *entry;
  std::string known;
  for (size_t i = 0; i < std::min<size_t>(entries_.size(), 20); ++i) known += (i ? ", " : "") + entries_[i]->name;
  throw Refusal{404, fmt::format("there is no model \"{}\"; here are: {}", name, known), "model_not_found", "model"};
}

std::shared_ptr<const Ai> ModelRegistry::ai(const std::string& name) const {
  std::lock_guard lock(mutex_);
  return find(name).ai;
}

void ModelRegistry::make_room(int64_t bytes, const Entry& for_whom) {
  if (bytes > options_.memory_bytes)
    throw Refusal{503, fmt::format("\"{}\" needs {} MiB, models may take {} MiB here (serve --memory)", for_whom.name, bytes >> 20, options_.memory_bytes >> 20), "no_memory", ""};
  for (;;) {
    std::shared_ptr<const ServedModel> leaving;  // ends outside the lock: its engine's thread is joined
    std::lock_guard lock(mutex_);
    int64_t used = 0;
    Entry* oldest = nullptr;
    for (const auto& entry : entries_) {
      if (!entry->loaded) continue;
      used += entry->bytes;
      if (entry->leaves() && entry->loaded.use_count() == 1 && (!oldest || entry->used < oldest->used)) oldest = entry.get();
    }
    if (used + bytes <= options_.memory_bytes) return;
    if (!oldest)
      throw Refusal{503, fmt::format("\"{}\" needs {} MiB, and {} of {} MiB are taken by models that are answering", for_whom.name, bytes >> 20, used >> 20,
                                     options_.memory_bytes >> 20), "no_memory", "", 5};
    options_.log(fmt::format("{} leaves the memory for {}", oldest->name, for_whom.name));
    leaving.swap(oldest->loaded);
  }
}

void ModelRegistry::open_language(ServedModel& model, const std::string& what) const {
  LanguageModel language = open_model(what);
  open_engine(model, language.model, language.tokenizer, language.chat_template);
}

void ModelRegistry::open_engine(ServedModel& model, std::shared_ptr<const Llama> llama, std::shared_ptr<const Tokenizer> tokenizer, const std::string& chat_template) const {
  model.tokenizer = tokenizer;
  model.encoder = make_llama_encoder(llama, tokenizer, model.hash);
  model.chat_source = chat_template;
  if (chat_template.empty()) {
    model.chat_fault = fmt::format("\"{}\" has no chat template: it was not made for conversation", model.name);
  } else {
    try {
      model.chat = std::make_shared<const ChatTemplate>(chat_template, model.name);
    } catch (const Error& error) {
      model.chat_fault = error.what();
    }
  }
  EngineOptions engine;
  engine.cache_bytes = options_.cache_bytes;
  engine.cache = options_.cache;
  engine.context = options_.context;
  engine.running = options_.running;
  model.constraints = std::make_shared<ConstraintFactory>(tokenizer);
  model.engine = std::make_shared<Engine>(std::move(llama), std::move(tokenizer), default_team(), engine);
}

std::shared_ptr<const ServedModel> ModelRegistry::acquire(const std::string& name) {
  std::shared_ptr<Entry> entry;
  const auto loaded = [&]() -> std::shared_ptr<const ServedModel> {
    std::lock_guard lock(mutex_);
    Entry& found = find(name);
    found.used = ++clock_;
    for (const auto& one : entries_)
      if (one.get() == &found) entry = one;
    return found.loaded;
  };
  if (auto model = loaded()) return model;
  std::lock_guard one_at_a_time(loading_);
  if (auto model = loaded()) return model;
  make_room(entry->bytes, *entry);
  auto model = std::make_shared<ServedModel>();
  model->name = entry->name;
  model->kind = entry->kind;
  model->path = entry->path.string();
  model->created = entry->created;
  model->bytes = entry->bytes;
  model->hash = entry->hash.empty() ? fingerprint(entry->path) : entry->hash;
  std::shared_ptr<const Ai> ai;
  {
    std::lock_guard lock(mutex_);
    ai = entry->ai;
    if (ai) model->hash = entry->hash;
  }
  if (ai) {
    const ChatAi& chat = ai->chat();
    model->ai = ai;
    model->system = chat.system;
    model->answer_tokens = chat.max_tokens;
    open_engine(*model, chat.model(), chat.base->tokenizer, chat.base->tokenizer->chat_template);
  } else if (is_sentence_encoder(entry->path)) {
    model->kind = entry->kind = "encoder";
    model->encoder = open_encoder(entry->opened_as);
    model->tokenizer = Tokenizer::from_json(read_file(entry->path / "tokenizer.json"), (entry->path / "tokenizer.json").string());
  } else {
    open_language(*model, entry->opened_as);
  }
  options_.log(fmt::format("{} is loaded", entry->name));
  std::lock_guard lock(mutex_);
  if (entry->ai != ai) return model;  // replaced meanwhile: this answer is the old version's, the next is not
  entry->hash = model->hash;
  entry->loaded = model;
  return model;
}

void ModelRegistry::replace(const std::string& name, std::shared_ptr<const Ai> ai) {
  std::lock_guard lock(mutex_);
  Entry& entry = find(name);
  if (!entry.ai) throw Refusal{409, fmt::format("\"{}\" is a plain model; only AIs have versions", name), "", "model"};
  entry.before.push_back(entry.ai);
  if (entry.before.size() > kVersions) entry.before.erase(entry.before.begin());
  entry.take(std::move(ai));
}

bool ModelRegistry::roll_back(const std::string& name) {
  std::lock_guard lock(mutex_);
  Entry& entry = find(name);
  if (entry.before.empty()) return false;
  auto last = std::move(entry.before.back());
  entry.before.pop_back();
  entry.take(std::move(last));
  return true;
}

std::vector<ModelRegistry::Listed> ModelRegistry::list() const {
  std::lock_guard lock(mutex_);
  std::vector<Listed> all;
  for (const auto& e : entries_)
    all.push_back({e->name, e->kind, e->hash, e->path.string(), e->created, e->bytes, e->loaded != nullptr, e->before.size() + 1, e->loaded, e->ai});
  return all;
}

std::string ModelRegistry::first() const {
  std::lock_guard lock(mutex_);
  return entries_.empty() ? "" : entries_.front()->name;
}

size_t ModelRegistry::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace ingot
