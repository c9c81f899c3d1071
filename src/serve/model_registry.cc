#include "serve/model_registry.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "foundry/ai.h"
#include "models/llama/llama_encoder.h"
#include "models/llama/lora.h"
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

int64_t modified(const std::filesystem::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_mtime : 0;
}

}  // namespace

// Tells a file that was put in another's place.
struct ModelRegistry::FileStamp {
  uint64_t device = 0, inode = 0;
  int64_t size = -1, time_ns = 0;
  bool operator==(const FileStamp&) const = default;
  static FileStamp of(const std::filesystem::path& path) {
    struct stat s {};
    if (stat(path.c_str(), &s) != 0) return {};
    return {s.st_dev, s.st_ino, s.st_size, int64_t{s.st_mtim.tv_sec} * 1000000000 + s.st_mtim.tv_nsec};
  }
};

// A language model in memory, with all that its answers need.
struct ModelRegistry::Language {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const TextEncoder> encoder;
  std::shared_ptr<const ChatTemplate> chat;
  std::shared_ptr<const ChatTemplate> tool_chat;
  std::string chat_fault;
  SamplingAdvice advice;
  std::shared_ptr<ConstraintFactory> constraints;
  std::shared_ptr<const SharedBase> base;  // null: of a plain model that no AI stands on
  std::shared_ptr<Engine> engine;
};

struct ModelRegistry::Entry {
  std::string name, kind, hash;
  std::filesystem::path path;
  std::string opened_as;  // what open_model takes
  int64_t created = 0;
  int64_t bytes = 0;       // of its own: an adapter and what else the file holds; a plain model
  std::string base;        // hash of the base that it may share; empty: none
  bool base_of_ai = false; // a plain model whose base an AI here has
  std::filesystem::path adapter;  // of a plain model; empty: none
  int64_t base_bytes = 0;  // of the base and its cache
  std::shared_ptr<const Ai> ai;
  std::vector<std::shared_ptr<const Ai>> before;  // earlier versions, oldest first
  std::shared_ptr<const ServedModel> loaded;
  uint64_t used = 0;
  FileStamp stamp;  // of the file that it was opened from

  bool talks() const { return ai && kind == "chat"; }
  bool leaves() const { return !ai || talks(); }  // what only ranks is small, and stays
  int64_t all_bytes() const { return bytes + base_bytes; }

  void take(std::shared_ptr<const Ai> next, int64_t engine_bytes) {
    ai = std::move(next);
    kind = ai->kind();
    hash = ai->hash();
    loaded = nullptr;
    bytes = size_on_disk(ai->archive().path());
    base.clear();
    base_bytes = 0;
    if (talks()) {  // loaded when it is first asked
      base = ai->chat_base().sha256;
      base_bytes = static_cast<int64_t>(ai->chat_base().bytes) + engine_bytes;
      if (ai->chat_base().path.empty()) bytes -= static_cast<int64_t>(ai->chat_base().bytes);
      return;
    }
    auto model = std::make_shared<ServedModel>();
    model->name = name;
    model->kind = kind;
    model->hash = hash;
    model->created = created;
    model->bytes = bytes;
    model->ai = ai;
    model->encoder = ai->base().encoder;
    loaded = std::move(model);
  }
};

ModelRegistry::ModelRegistry(RegistryOptions options) : options_(std::move(options)) {
  if (options_.memory_bytes <= 0) options_.memory_bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE) / 4 * 3;
  if (options_.draft > 0 && !options_.draft_model.empty()) check_model(options_.draft_model);
}

void ModelRegistry::insert(std::shared_ptr<Entry> entry) {
  std::lock_guard lock(mutex_);
  for (const auto& other : entries_) {
    if (other->name != entry->name) continue;
    if (other->path == entry->path) throw Error(ErrorKind::usage, "this is served already", entry->path.string(), "name it once");
    throw Error(ErrorKind::usage, fmt::format("two of what is served are named \"{}\"", entry->name), entry->path.string(), "name one otherwise: serve NAME=FILE");
  }
  entries_.push_back(std::move(entry));
  share_bases();
}

// A plain model that is the base of an AI here is one with it.
void ModelRegistry::share_bases() {
  for (const auto& plain : entries_) {
    if (plain->ai || plain->kind != "language" || plain->base_of_ai || plain->loaded || !std::filesystem::is_regular_file(plain->path)) continue;
    for (const auto& one : entries_) {
      std::error_code none;
      if (!one->talks() || !std::filesystem::equivalent(one->ai->chat_base().path, plain->path, none)) continue;
      plain->base = one->base;
      plain->base_of_ai = true;
      plain->base_bytes = one->base_bytes;
      plain->bytes = plain->adapter.empty() ? 0 : size_on_disk(plain->adapter);
      break;
    }
  }
}

void ModelRegistry::add(std::shared_ptr<const Ai> ai) {
  auto entry = std::make_shared<Entry>();
  entry->name = ai->name();
  entry->created = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  entry->take(std::move(ai), engine_bytes());
  insert(std::move(entry));
}

void ModelRegistry::add(const std::string& what) {
  std::string name, source = what;
  if (const size_t equals = what.find('='); equals != std::string::npos && equals > 0 && what.find('/') > equals && !std::filesystem::exists(what)) {
    name = what.substr(0, equals);
    source = what.substr(equals + 1);
  }
  auto entry = std::make_shared<Entry>();
  if (const size_t plus = source.rfind('+'); plus != std::string::npos && plus > 0 && !std::filesystem::exists(source) && std::filesystem::exists(source.substr(plus + 1))) {
    entry->adapter = source.substr(plus + 1);
    source.resize(plus);
  }
  if (std::filesystem::is_regular_file(source) && looks_like_archive(source)) {
    if (!entry->adapter.empty()) bad_input("an AI has its own adapter", source, "name the model under it: serve NAME=MODEL+ADAPTER");
    entry->stamp = FileStamp::of(source);
    auto ai = Ai::open(source);
    entry->name = name.empty() ? ai->name() : name;
    const auto taken = [&] { return std::any_of(entries_.begin(), entries_.end(), [&](const auto& other) { return other->name == entry->name; }); };
    if (name.empty() && taken()) {  // several from one recipe: the file's name tells them apart
      entry->name = std::filesystem::path(source).stem().string();
      if (options_.log) options_.log(fmt::format("{} calls itself \"{}\" as another does: served as \"{}\"", source, ai->name(), entry->name));
    }
    entry->path = source;
    entry->created = modified(source);
    entry->take(std::move(ai), engine_bytes());
    return insert(std::move(entry));
  }
  entry->path = find_model(source);
  entry->stamp = FileStamp::of(entry->path);
  if (std::filesystem::is_regular_file(entry->path) && !MappedFile(entry->path).text().starts_with("GGUF")) {
    if (entry->path.extension() == ".ingot") Ai::open(entry->path);  // says what is wrong with it
    bad_input("this is neither an AI (.ingot) nor a model (GGUF)", entry->path.string(), "serve what ingot build or ingot pull made, or a model's folder");
  }
  entry->opened_as = source;
  std::filesystem::path named = entry->adapter.empty() ? std::filesystem::path(source) : entry->adapter;
  if (named.filename().empty()) named = named.parent_path();
  entry->name = !name.empty() ? name : named.extension() == ".gguf" ? named.stem().string() : named.filename().string();
  const bool encoder = is_sentence_encoder(entry->path);
  entry->kind = encoder ? "encoder" : "language";
  entry->created = modified(entry->path);
  entry->bytes = size_on_disk(entry->path);
  if (encoder && !entry->adapter.empty()) bad_input("a sentence encoder takes no adapter here", what, "name a language model");
  if (!encoder) {  // its weights and its cache are there once for it and its adapters
    entry->base = fingerprint(entry->path);
    entry->base_bytes = entry->bytes + engine_bytes();
    entry->bytes = entry->adapter.empty() ? 0 : size_on_disk(entry->adapter);
  }
  check_model(source, entry->adapter);  // a broken file is told at the start, not by the first request
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

// Beside its weights: the cache, and for guessing a second one of at most the same size with the draft's weights.
int64_t ModelRegistry::engine_bytes() const {
  if (options_.draft <= 0 || options_.draft_model.empty()) return options_.cache_bytes;
  return 2 * options_.cache_bytes + size_on_disk(find_model(options_.draft_model));
}

int64_t ModelRegistry::used(const Entry* with) const {
  int64_t sum = 0;
  std::vector<std::string> bases;  // each is there once
  for (const auto& entry : entries_) {
    if (!entry->loaded && entry.get() != with) continue;
    sum += entry->bytes;
    if (!entry->base.empty() && std::find(bases.begin(), bases.end(), entry->base) != bases.end()) continue;
    sum += entry->base_bytes;
    bases.push_back(entry->base);
  }
  return sum;
}

void ModelRegistry::make_room(Entry& for_whom) {
  for (;;) {
    std::shared_ptr<const ServedModel> leaving;  // ends outside the lock: its engine's thread is joined
    std::lock_guard lock(mutex_);
    if (for_whom.all_bytes() > options_.memory_bytes)
      throw Refusal{503, fmt::format("\"{}\" needs {} MiB, models may take {} MiB here (serve --memory)", for_whom.name, for_whom.all_bytes() >> 20, options_.memory_bytes >> 20), "no_memory", ""};
    if (used(&for_whom) <= options_.memory_bytes) return;
    Entry* oldest = nullptr;
    for (const auto& entry : entries_)
      if (entry->loaded && entry->leaves() && entry->loaded.use_count() == 1 && (!oldest || entry->used < oldest->used)) oldest = entry.get();
    if (!oldest)
      throw Refusal{503, fmt::format("\"{}\" needs {} MiB, and {} of {} MiB are taken by models that are answering", for_whom.name, for_whom.all_bytes() >> 20, used(nullptr) >> 20,
                                     options_.memory_bytes >> 20), "no_memory", "", 5};
    options_.log(fmt::format("{} leaves the memory for {}", oldest->name, for_whom.name));
    leaving.swap(oldest->loaded);
  }
}

std::shared_ptr<const ModelRegistry::Language> ModelRegistry::open_language(const std::string& hash, const std::function<LanguageModel(Language&)>& open) {
  if (auto known = languages_[hash].lock()) return known;
  auto made = std::make_shared<Language>();
  LanguageModel language = open(*made);
  made->tokenizer = language.tokenizer;
  made->encoder = make_llama_encoder(language.model, language.tokenizer, hash, pooling_of(language));
  made->advice = language.advice;
  const auto parse = [&](const std::string& source, const char* what) -> std::shared_ptr<const ChatTemplate> {
    if (source.empty()) return nullptr;
    try {
      return std::make_shared<const ChatTemplate>(source, what);
    } catch (const Error& error) {
      options_.log(fmt::format("{}: {}", language.path.string(), error.what()));
      made->chat_fault = error.what();
      return nullptr;
    }
  };
  if (language.tokenizer->chat_template.empty()) made->chat_fault = "the model has no chat template: it was not made for conversation";
  made->chat = parse(language.tokenizer->chat_template, "chat template");
  made->tool_chat = parse(language.tokenizer->tool_template, "chat template for tools");
  EngineOptions engine;
  engine.cache_bytes = options_.cache_bytes;
  engine.cache = options_.cache;
  engine.context = options_.context;
  engine.running = options_.running;
  engine.draft = options_.draft;
  if (options_.draft > 0 && !options_.draft_model.empty()) {
    try {
      engine.draft_model = open_draft_model(options_.draft_model, *language.tokenizer);
    } catch (const Error& error) {
      if (error.kind != ErrorKind::input) throw;
      options_.log(fmt::format("{}: the text so far guesses instead: {}", language.path.string(), error.what()));
    }
  }
  made->constraints = std::make_shared<ConstraintFactory>(language.tokenizer);
  made->engine = std::make_shared<Engine>(std::move(language.model), std::move(language.tokenizer), default_team(), engine);
  languages_[hash] = made;
  return made;
}

namespace {

LanguageModel language_of(const SharedBase& base) {
  LanguageModel out;
  out.path = base.path;
  out.model = std::const_pointer_cast<Llama>(base.model);  // nobody trains it here
  out.tokenizer = base.tokenizer;
  return out;
}

}  // namespace

std::shared_ptr<const ServedModel> ModelRegistry::load(const Entry& entry, const std::shared_ptr<const Ai>& ai) {
  auto model = std::make_shared<ServedModel>();
  model->name = entry.name;
  model->kind = entry.kind;
  model->path = entry.path.string();
  model->created = entry.created;
  model->bytes = entry.all_bytes();
  if (!ai && entry.kind == "encoder") {
    model->hash = fingerprint(entry.path);
    model->encoder = open_encoder(entry.opened_as);
    model->tokenizer = Tokenizer::open(entry.path);
    return model;
  }
  std::shared_ptr<const Language> language;
  if (ai) {
    language = open_language(ai->chat_base().sha256, [&](Language& made) {
      made.base = base_of(ai->shared_archive());
      return language_of(*made.base);
    });
    const ChatSettings settings = chat_settings(ai->archive());
    model->ai = ai;
    model->hash = ai->hash();
    model->system = settings.system;
    model->answer_tokens = settings.max_tokens;
    if (const AdapterMembers adapter = adapter_of(ai->archive()); !adapter.config_json.empty())
      model->adapter = LoraAdapter::read(adapter.config_json, adapter.safetensors, ai->archive().path().string() + ": adapter", language->engine->model());
  } else {
    model->hash = fingerprint(entry.path);
    language = open_language(entry.base, [&](Language& made) {
      if (!entry.base_of_ai) return open_model(entry.opened_as);
      made.base = open_shared_base(entry.path.string());
      return language_of(*made.base);
    });
    if (!entry.adapter.empty()) {
      model->adapter = LoraAdapter::open(entry.adapter, language->engine->model());
      model->hash = hex(sha256(model->hash + fingerprint(std::filesystem::is_directory(entry.adapter) ? entry.adapter / "adapter_model.safetensors" : entry.adapter)));
    }
  }
  model->tokenizer = language->tokenizer;
  model->encoder = language->encoder;
  model->chat = language->chat;
  model->tool_chat = language->tool_chat;
  model->advice = language->advice;
  model->chat_fault = language->chat_fault;
  model->constraints = language->constraints;
  model->engine = std::shared_ptr<Engine>(language, language->engine.get());  // keeps the whole
  return model;
}

std::shared_ptr<const ServedModel> ModelRegistry::acquire(const std::string& name) {
  std::shared_ptr<Entry> entry;
  std::optional<Entry> seen;  // as it is now: it may be replaced while it is loaded
  const auto loaded = [&]() -> std::shared_ptr<const ServedModel> {
    std::lock_guard lock(mutex_);
    Entry& found = find(name);
    found.used = ++clock_;
    for (const auto& one : entries_)
      if (one.get() == &found) entry = one;
    if (!found.loaded) seen = found;
    return found.loaded;
  };
  if (auto model = loaded()) return model;
  std::lock_guard one_at_a_time(loading_);
  if (auto model = loaded()) return model;
  make_room(*entry);
  std::shared_ptr<const ServedModel> model;
  try {
    model = load(*seen, seen->ai);
  } catch (const Error& error) {  // it opened when the service began: no fault of who asks
    options_.log(fmt::format("{} cannot be loaded: {}", entry->name, error.what()));
    throw Refusal{500, fmt::format("\"{}\" cannot be loaded: {}; the log of this server says where", entry->name, error.problem), "model_broken", ""};
  }
  options_.log(fmt::format("{} is loaded", entry->name));
  std::lock_guard lock(mutex_);
  if (entry->ai != seen->ai) return model;  // replaced meanwhile: this answer is the old version's, the next is not
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
  entry.take(std::move(ai), engine_bytes());
}

ModelRegistry::Reloaded ModelRegistry::reload() {
  struct Changed {
    std::string name, hash;
    std::filesystem::path path;
  };
  std::vector<Changed> candidates;
  Reloaded result;
  {
    std::lock_guard lock(mutex_);
    for (const auto& entry : entries_) {
      if (entry->path.empty() || FileStamp::of(entry->path) == entry->stamp) continue;
      if (entry->ai) candidates.push_back({entry->name, entry->hash, entry->path});
      else result.failed.emplace_back(entry->name, "its file changed, but it is a plain model, not an AI with versions; restart the service to open it anew");
    }
  }
  for (const Changed& one : candidates) {
    const FileStamp stamp = FileStamp::of(one.path);
    std::shared_ptr<const Ai> ai;
    try {
      ai = Ai::open(one.path);
    } catch (const Error& error) {
      options_.log(fmt::format("{} stays as it is: {}", one.name, error.what()));
      result.failed.emplace_back(one.name, error.what());
      continue;
    }
    const bool other = ai->hash() != one.hash;
    if (other) replace(one.name, std::move(ai));
    std::lock_guard lock(mutex_);
    find(one.name).stamp = stamp;
    if (!other) continue;
    options_.log(fmt::format("{} is replaced by its new version", one.name));
    result.replaced.push_back(one.name);
  }
  return result;
}

bool ModelRegistry::roll_back(const std::string& name) {
  std::lock_guard lock(mutex_);
  Entry& entry = find(name);
  if (entry.before.empty()) return false;
  auto last = std::move(entry.before.back());
  entry.before.pop_back();
  entry.take(std::move(last), engine_bytes());
  return true;
}

std::vector<ModelRegistry::Listed> ModelRegistry::list() const {
  std::lock_guard lock(mutex_);
  std::vector<Listed> all;
  for (const auto& e : entries_)
    all.push_back({e->name, e->kind, e->hash, e->path.string(), e->created, e->all_bytes(), e->loaded != nullptr, e->before.size() + 1, e->loaded, e->ai});
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
