#include "formats/archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "formats/archive_keys.h"
#include "formats/archive_tree.h"
#include "formats/archive_zip.h"
#include "formats/crc32.h"

namespace ingot {
namespace {

using nlohmann::json;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

bool is_own(std::string_view name) { return name == manifest_name || name == tree_name || name == signature_name; }

// Names the AI: its kind, its name and its members' bytes, wherever they lie in the file.
std::string content_hash(const std::string& kind, const std::string& name, const std::vector<ArchiveMember>& members) {
  std::string text = kind + "\n" + name + "\n";
  for (const ArchiveMember& member : members) text += member.name + " " + member.sha256 + "\n";
  return hex(sha256(text));
}

class MappedArchive : public Archive {
 public:
  MappedArchive(MappedFile file, std::string owned, std::filesystem::path path) : file_(std::move(file)), owned_(std::move(owned)), path_(std::move(path)) {
    bytes_ = owned_.empty() ? file_.bytes() : bytes_of(owned_);
    read();
  }

  const std::vector<ArchiveMember>& members() const override { return members_; }
  bool has(std::string_view name) const override { return find(name) != nullptr; }
  std::span<const std::byte> member(std::string_view name) const override {
    const ArchiveMember* found = find(name);
    if (!found) bad_input(fmt::format("there is no member \"{}\"", name), path_.string(), "see what the file holds with: ingot inspect FILE");
    return range(name, 0, found->size);
  }
  std::span<const std::byte> range(std::string_view name, uint64_t offset, uint64_t size) const override {
    const ArchiveMember* found = find(name);
    if (!found || offset > found->size || size > found->size - offset) {
      bad_input(fmt::format("member \"{}\" has no such bytes", name), path_.string(), "see what the file holds with: ingot inspect FILE");
    }
    const uint64_t begin = found->offset + offset, end = begin + size;
    if (size) check(begin / page_size, (end + page_size - 1) / page_size);
    return bytes_.subspan(begin, size);
  }
  std::string_view manifest() const override { return manifest_; }
  std::string kind() const override { return kind_; }
  std::string name() const override { return name_; }
  std::string hash() const override { return hash_; }
  std::optional<std::string> signer() const override { return signer_; }
  std::span<const std::byte> prefix() const override { return bytes_.first(prefix_); }
  void verify() const override { check(0, tree_->pages()); }
  const std::filesystem::path& path() const override { return path_; }

 private:
  const ArchiveMember* find(std::string_view name) const {
    for (const ArchiveMember& member : members_) {
      if (member.name == name) return &member;
    }
    return nullptr;
  }

  void check(uint64_t begin, uint64_t end) const {
    const uint64_t bad = tree_->first_bad(begin, end);
    if (bad == end) return;
    std::string what = bad * page_size < prefix_ ? "the executable part" : "padding";
    for (const ArchiveMember& member : members_) {
      if (bad * page_size < member.offset + member.size && (bad + 1) * page_size > member.offset) what = "member " + member.name;
    }
    altered(fmt::format("byte range {} to {} ({}) is not as packed", bad * page_size, (bad + 1) * page_size, what), path_.string());
  }

  void read() {
    const std::string where = path_.string();
    std::vector<ZipEntry> entries = read_central_directory(bytes_, where);
    if (entries.size() < 3 || entries[entries.size() - 3].name != tree_name || entries[entries.size() - 2].name != manifest_name ||
        entries.back().name != signature_name) {
      altered("this zip is not an .ingot: it lacks the hash tree, the manifest or the signature at its end", where);
    }
    std::unordered_set<std::string_view> names;
    uint64_t last = 0;
    for (ZipEntry& entry : entries) {
      if (!names.insert(entry.name).second) altered(fmt::format("two members have the name {}", entry.name), where);
      entry.data = read_local_header(bytes_, entry, where);
      if (entry.header < last || entry.data % page_size || entry.data > bytes_.size() || entry.size > bytes_.size() - entry.data) {
        altered(fmt::format("member {} does not lie where it should", entry.name), where);
      }
      last = entry.data + entry.size;
    }
    const ZipEntry& tree = entries[entries.size() - 3];
    const ZipEntry& manifest = entries[entries.size() - 2];
    const ZipEntry& seal_entry = entries.back();
    if (seal_entry.size != Seal::size || manifest.size > max_manifest) altered("the manifest or the signature has a wrong size", where);
    const auto seal_bytes = bytes_.subspan(seal_entry.data, seal_entry.size);
    const Seal seal = Seal::read(seal_bytes, where);
    const uint64_t tail = tree.header;
    if (crc32(seal_bytes) != seal_entry.crc || seal_digest(bytes_.subspan(tail), tail, seal_entry) != seal.digest) {
      altered("the manifest or the directory is not as packed", where);
    }
    if (seal.is_signed()) {
      if (!ed25519_verify(seal.public_key, seal.message(), seal.signature)) altered("the signature does not fit", where);
      signer_ = hex(std::span(reinterpret_cast<const unsigned char*>(seal.public_key.data()), seal.public_key.size()));
    }
    const auto text = bytes_.subspan(manifest.data, manifest.size);
    manifest_ = {reinterpret_cast<const char*>(text.data()), text.size()};
    const json object = json::parse(manifest_, [](int depth, auto, auto&) { return depth < 64; }, false);
    try {
      if (const int format = object.at("format"); format != archive_format) {
        bad_input(fmt::format("the file has format {}, this ingot reads {}", format, archive_format), where, "use the version of ingot that packed it");
      }
      kind_ = object.at("kind");
      name_ = object.at("name");
      prefix_ = object.at("prefix");
      const std::string root_hex = object.at("root");
      const json& list = object.at("members");
      if (list.size() != entries.size() - 3 || prefix_ > tail) altered("the manifest disagrees with the directory", where);
      for (size_t i = 0; i + 3 < entries.size(); ++i) {
        ArchiveMember member{list[i].at("name"), entries[i].data, entries[i].size, list[i].at("sha256"), true};
        if (member.name != entries[i].name || list[i].at("size") != member.size) altered("the manifest disagrees with the directory", where);
        static constexpr std::string_view known[] = {"recipe.toml", "report.json", "coverage.svg", "examples.jsonl", "model.gguf", "triage.bin", "guard.bin", "classify.bin", "words.bin",
                                                    "chat.json", "base.json", "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "distillation.svg"};
        member.known = std::find(std::begin(known), std::end(known), member.name) != std::end(known);
        members_.push_back(std::move(member));
      }
      if (tail == 0 || tail % page_size || tree.size != TreeShape(tail / page_size).size) altered("the hash tree has a wrong size", where);
      Digest root{};
      if (root_hex.size() != 2 * root.size() || root_hex.find_first_not_of("0123456789abcdef") != std::string::npos) altered("the root hash is damaged", where);
      for (size_t i = 0; i < root.size(); ++i) root[i] = static_cast<unsigned char>(std::stoi(root_hex.substr(2 * i, 2), nullptr, 16));
      tree_ = std::make_unique<TreeChecker>(bytes_.first(tail), bytes_.subspan(tree.data, tree.size), root, where);
    } catch (const json::exception&) {
      altered("the manifest is damaged", where);
    }
    hash_ = content_hash(kind_, name_, members_);
  }

  MappedFile file_;
  std::string owned_;
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
  std::vector<ArchiveMember> members_;
  std::string_view manifest_;
  std::string kind_, name_, hash_;
  std::optional<std::string> signer_;
  uint64_t prefix_ = 0;
  std::unique_ptr<TreeChecker> tree_;
};

}  // namespace

ArchiveWriter::Member& ArchiveWriter::append(std::string name) {
  std::string problem = name_problem(name);
  if (is_own(name)) problem = "belongs to the format";
  for (const Member& member : members_) {
    if (member.name == name) problem = "is used twice";
  }
  if (!problem.empty()) throw Error(ErrorKind::usage, fmt::format("the member name \"{}\" {}", name, problem), "", "choose another name");
  members_.push_back({std::move(name), {}, {}, {}});
  return members_.back();
}

void ArchiveWriter::describe(std::string kind, std::string name, std::string provenance_json) {
  kind_ = std::move(kind);
  name_ = std::move(name);
  provenance_ = std::move(provenance_json);
}

void ArchiveWriter::add(std::string name, std::string bytes) { append(std::move(name)).bytes = std::move(bytes); }
void ArchiveWriter::add_view(std::string name, std::span<const std::byte> bytes) { append(std::move(name)).view = bytes; }
void ArchiveWriter::add_file(std::string name, const std::filesystem::path& source) { append(std::move(name)).file = source; }

void ArchiveWriter::copy(const Archive& from, std::string_view without) {
  const json manifest = json::parse(from.manifest());
  describe(from.kind(), from.name(), manifest.value("provenance", json::object()).dump());
  for (const ArchiveMember& member : from.members())
    if (member.name != without) add_view(member.name, from.member(member.name));
}

void ArchiveWriter::write(const std::filesystem::path& path, std::span<const std::byte> prefix, std::string_view signing_key) const {
  std::string out(reinterpret_cast<const char*>(prefix.data()), prefix.size());
  std::vector<ZipEntry> entries;
  const auto put = [&](std::string_view name, std::span<const std::byte> bytes) {
    ZipEntry entry;
    entry.name = name;
    entry.crc = crc32(bytes);
    entry.size = bytes.size();
    out += local_header(entry, out.size());
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    entries.push_back(std::move(entry));
  };
  json members = json::array();
  for (const Member& member : members_) {
    MappedFile file;
    if (!member.file.empty()) file = MappedFile(member.file);
    const auto bytes = !member.file.empty() ? file.bytes() : !member.view.empty() ? member.view : bytes_of(member.bytes);
    put(member.name, bytes);
    members.push_back({{"name", member.name}, {"size", bytes.size()}, {"sha256", hex(sha256(bytes))}});
  }
  // The tree covers whole pages: everything before its own header, which starts on one.
  out.resize(std::max<size_t>((out.size() + page_size - 1) / page_size, 1) * page_size, '\0');
  const uint64_t tail = out.size();
  std::vector<Digest> pages;
  for (size_t at = 0; at < out.size(); at += page_size) pages.push_back(sha256(std::string_view(out).substr(at, page_size)));
  Digest root{};
  const std::string tree = build_tree(pages, root);
  put(tree_name, bytes_of(tree));
  const json manifest = {{"format", archive_format}, {"kind", kind_}, {"name", name_}, {"root", hex(root)}, {"prefix", prefix.size()},
                         {"members", members}, {"provenance", json::parse(provenance_)}};
  put(manifest_name, bytes_of(manifest.dump(2)));
  Seal seal;
  if (!signing_key.empty()) seal.public_key = signing_public_key(signing_key);
  put(signature_name, bytes_of(seal.bytes()));
  const std::string unsealed = out + central_directory(entries, out.size());
  seal.digest = seal_digest(bytes_of(unsealed).subspan(tail), tail, entries.back());
  if (!signing_key.empty()) seal.signature = ed25519_sign(signing_key, seal.message());
  const std::string sealed = seal.bytes();
  ZipEntry& entry = entries.back();
  std::memcpy(out.data() + entry.data, sealed.data(), sealed.size());
  entry.crc = crc32(bytes_of(sealed));
  for (int i = 0; i < 4; ++i) out[entry.header + 14 + i] = static_cast<char>(entry.crc >> (8 * i));
  out += central_directory(entries, out.size());
  write_file(path, out);
  if (!prefix.empty()) {
    using std::filesystem::perms;
    std::filesystem::permissions(path, perms::owner_exec | perms::group_exec | perms::others_exec, std::filesystem::perm_options::add);
  }
}

std::shared_ptr<const Archive> Archive::open(const std::filesystem::path& path) { return std::make_shared<MappedArchive>(MappedFile(path), "", path); }

std::shared_ptr<const Archive> Archive::from_bytes(std::string bytes, std::string name) {
  if (bytes.empty()) altered("the file is empty", name);
  return std::make_shared<MappedArchive>(MappedFile(), std::move(bytes), name);
}

bool looks_like_archive(const std::filesystem::path& path) {
  MappedFile file(path);
  constexpr char magic[4] = {'P', 'K', 5, 6};
  const auto bytes = file.bytes();
  return bytes.size() >= 22 && std::memcmp(bytes.data() + bytes.size() - 22, magic, 4) == 0;
}

}  // namespace ingot
