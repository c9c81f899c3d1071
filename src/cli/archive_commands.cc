// verify, inspect and pack: what a person does with a finished file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/own_archive.h"
#include "core/files.h"
#include "formats/archive.h"
#include "foundry/chat/shared_base.h"

namespace ingot {

void add_verify(CLI::App& app) {
  auto file = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("verify", "Check that every byte is as packed; exit code 6 if not");
  command->add_option("file", *file, "NAME.ingot; an executable AI is its own");
  command->callback([file] {
    const auto archive = Archive::open(own_archive_or(*file));
    archive->verify();
    fmt::print("every byte is as packed: {} {} {}, {}\n", archive->kind(), archive->name(), archive->hash().substr(0, 16),
               archive->signer() ? "signed by " + *archive->signer() : "not signed");
  });
}

void add_inspect(CLI::App& app) {
  struct Options {
    std::string file, member;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "Show what a file holds, where it came from and how it was judged");
  command->add_option("file", options->file, "NAME.ingot; an executable AI is its own");
  command->add_flag("--json", options->json, "print one JSON object");
  command->add_option("--member", options->member, "print one member's bytes and nothing else");
  command->callback([options] {
    const auto archive = Archive::open(own_archive_or(options->file));
    if (!options->member.empty()) {
      const std::string_view bytes = archive->text(options->member);
      std::fwrite(bytes.data(), 1, bytes.size(), stdout);
      return;
    }
    auto manifest = nlohmann::json::parse(archive->manifest());
    manifest["hash"] = archive->hash();
    if (archive->signer()) manifest["signer"] = *archive->signer();
    if (archive->has("report.json")) manifest["report"] = nlohmann::json::parse(archive->text("report.json"));
    if (options->json) {
      fmt::print("{}\n", manifest.dump());
      return;
    }
    fmt::print("{} \"{}\"\nhash       {}\nsignature  {}\n", archive->kind(), archive->name(), archive->hash(), archive->signer().value_or("none"));
    for (const ArchiveMember& member : archive->members()) {
      fmt::print("{:>12}  {}{}\n", member.size, member.name, member.known ? "" : "  (unknown to this version)");
    }
    fmt::print("provenance {}\n", manifest["provenance"].dump(2));
    if (manifest.contains("report")) fmt::print("evaluation {}\n", manifest["report"]["evaluation"].dump(2));
  });
}

void add_pack(CLI::App& app) {
  struct Options {
    std::string file, out, key;
    bool executable = false, full = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("pack", "Write the file again: made runnable, or signed");
  command->add_option("file", options->file, "NAME.ingot")->required();
  command->add_option("-o,--output", options->out, "the file to write")->required();
  command->add_flag("--executable", options->executable, "put the static runner in front: runs on a Linux with nothing installed");
  command->add_flag("--full", options->full, "take in the base that a chat AI names by hash, so that it needs no other file");
  command->add_option("--sign", options->key, "file with a 32-byte Ed25519 seed");
  command->callback([options] {
    const auto archive = Archive::open(options->file);
    archive->verify();
    MappedFile runner;
    if (options->executable) {
      const auto path = own_path().parent_path() / "ingot-runner";
      if (!std::filesystem::exists(path)) {
        throw Error(ErrorKind::environment, "the static runner is missing", path.string(), "build the target ingot-runner beside ingot");
      }
      runner = MappedFile(path);
    }
    ArchiveWriter writer;
    std::shared_ptr<const SharedBase> base;
    if (archive->has("base.json") && (options->full || options->executable)) base = base_of(archive);
    writer.copy(*archive, base ? "base.json" : "");
    if (base) writer.add_view("model.gguf", base->bytes);
    writer.write(options->out, options->executable ? runner.bytes() : std::span<const std::byte>(), options->key.empty() ? std::string() : read_file(options->key, 64));
    fmt::print("packed {} ({:.1f} MB)\n", options->out, static_cast<double>(std::filesystem::file_size(options->out)) / 1e6);
  });
}

}  // namespace ingot
