#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>

#include "cli/command.h"
#include "cli/engine_options.h"
#include "cli/number_range.h"
#include "cli/own_archive.h"
#include "core/data_folder.h"
#include "core/error.h"
#include "serve/keyed_access.h"
#include "serve/service.h"

namespace ingot {
namespace {

// Ten thousand idle connections need as many descriptors; the soft limit is often 1,024.
void allow_many_connections() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65536);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

void add_serve(CLI::App& app) {
  struct Options {
    std::vector<std::string> models, hosts;
    std::string host = "127.0.0.1", data, site;
    uint16_t port = 8080;
    double memory_gib = 0, cache_gib = 1;
    RegistryOptions registry;
    int64_t answer_tokens = 2048;
    std::string otlp;
    bool plaintext = false;
    size_t requests = 1024;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", "Answer over HTTP: on loopback, elsewhere with keys");
  command->add_option("models", options->models, "NAME.ingot, a model's file, folder or name, each [NAME=]WHAT, models also WHAT+ADAPTER (LoRA); an executable AI is its own");
  CLI::Option* port = command->add_option("--port", options->port, "TCP port; 0 picks a free one")->check(whole(0, 65535));
  CLI::Option* host = command->add_option("--host", options->host, "numeric address; off loopback every route but liveness asks for a key");
  command->add_option("--site", options->site, "site.toml: address, certificate, price, log; what stands here wins");
  command->add_option("--allow-host", options->hosts, "further names that Host and Origin headers may hold");
  command->add_option("--data", options->data, "folder for feedback, promoted versions, keys and usage; without it none is kept, and keys are looked for where ingot key puts them")->envname("INGOT_DATA");
  command->add_option("--memory", options->memory_gib, "GiB for weights and caches of all models; 0: three quarters of the machine's")->check(at_least(0));
  command->add_option("--cache", options->cache_gib, "GiB of key/value cache for each language model")->check(above(0));
  add_cache_option(*command, options->registry.cache);
  command->add_option("--context", options->registry.context, "longest conversation in tokens; 0: as the model has it")->check(whole(0));
  add_draft_options(*command, options->registry.draft, options->registry.draft_model);
  command->add_option("--answer-tokens", options->answer_tokens, "of an answer whose request names no limit")->check(whole(1));
  command->add_option("--requests", options->requests, "worked on at once; one more is told to come back")->check(whole(1, 100000));
  command->add_flag("--plaintext", options->plaintext, "off loopback without a certificate: for a proxy in front that brings one");
  command->add_option("--otlp", options->otlp, "send a trace of each request to this OpenTelemetry collector (OTLP/HTTP), such as http://127.0.0.1:4318");
  command->callback([options, port, host] {
    allow_many_connections();
    Site site;
    if (!options->site.empty()) site = read_site(options->site);
    if (host->count() == 0) options->host = site.host;
    if (port->count() == 0) options->port = site.port;
    if (options->data.empty()) options->data = site.data.string();
    if (options->otlp.empty()) options->otlp = site.otlp;
    options->hosts.insert(options->hosts.end(), site.names.begin(), site.names.end());
    RegistryOptions& registry = options->registry;
    registry.memory_bytes = static_cast<int64_t>(options->memory_gib * (1 << 30));
    registry.cache_bytes = static_cast<int64_t>(options->cache_gib * (1 << 30));
    registry.log = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
    auto models = std::make_unique<ModelRegistry>(registry);
    if (options->models.empty()) models->add(own_archive_or("", "give an AI (NAME.ingot), a .gguf file, a model's folder, or the name of a pulled one").string());
    for (const std::string& what : options->models) models->add(what);
    std::string names;
    for (const auto& one : models->list()) names += (names.empty() ? "" : ", ") + one.name;
    std::unique_ptr<Service> service;
    HttpServer server(options->host, options->port, {}, [&](std::shared_ptr<HttpExchange> exchange) { service->handle(exchange); }, Service::error_body);
    const auto say = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
    if (!isatty(0)) server.on_hangup([&] { service->reload(); });  // a terminal that closes ends what it started
    if (!server.loopback() && !site.tls() && !site.plaintext && !options->plaintext)
      throw Error(ErrorKind::usage, "off loopback, keys and texts would cross the network in the clear", options->host,
                  "name a certificate in site.toml ([tls]); behind a proxy that has one say so: --plaintext, or plaintext = true under [serve]");
    if (site.tls()) server.use_tls(site.certificate, site.key, say);
    FileLock alone;  // two services on one folder would promote, count and forget past each other
    if (!options->data.empty()) {
      std::error_code made;  // what cannot be made is told by the lock
      std::filesystem::create_directories(options->data, made);
      alone = FileLock(std::filesystem::path(options->data) / "serve.lock", false);
      if (!alone.held()) throw Error(ErrorKind::environment, "another ingot serve is using this data folder", options->data, "stop it first, or give this one a folder of its own with --data");
    }
    // Keys that were made without --data count too; nothing is made where there are none.
    std::filesystem::path accounts = options->data;
    std::error_code failed;
    if (accounts.empty() && std::filesystem::exists(Database::file_in(data_folder()), failed)) accounts = data_folder();
    auto access = std::make_unique<KeyedAccess>(accounts, server.loopback(), options->hosts, site);
    service = std::make_unique<Service>(std::move(models), std::move(access), ServiceOptions{options->data, options->requests, options->answer_tokens, site.flywheel, site.pass_on});
    if (!options->otlp.empty()) service->trace_to(options->otlp, say);
    server.drain_on_signals([&](size_t open) { say(fmt::format("ending: {} connections have an answer under way, at most 30 s more; a second signal ends at once", open)); });
    fmt::print("serving {} on {}://{}:{}\n", names, site.tls() ? "https" : "http", options->host.find(':') == std::string::npos ? options->host : "[" + options->host + "]", server.port());
    std::fflush(stdout);
    server.run();
    service->stop();  // before the server that its exchanges came from
  });
}

}  // namespace ingot
