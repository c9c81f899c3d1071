#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/own_archive.h"
#include "core/error.h"
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
    std::string host = "127.0.0.1", data;
    uint16_t port = 8080;
    double memory_gib = 0, cache_gib = 1;
    int64_t context = 0, answer_tokens = 2048;
    size_t requests = 1024;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", "Answer over HTTP; loopback only");
  command->add_option("models", options->models, "NAME.ingot, a model's file, folder or name, each [NAME=]WHAT; an executable AI is its own");
  command->add_option("--port", options->port, "TCP port; 0 picks a free one");
  command->add_option("--host", options->host, "numeric loopback address");
  command->add_option("--allow-host", options->hosts, "further names that Host and Origin headers may hold");
  command->add_option("--data", options->data, "folder for feedback and promoted versions; without it neither is kept")->envname("INGOT_DATA");
  command->add_option("--memory", options->memory_gib, "GiB for weights and caches of all models; 0: three quarters of the machine's")->check(CLI::NonNegativeNumber);
  command->add_option("--cache", options->cache_gib, "GiB of key/value cache for each language model")->check(CLI::PositiveNumber);
  command->add_option("--context", options->context, "longest conversation in tokens; 0: as the model has it")->check(CLI::NonNegativeNumber);
  command->add_option("--answer-tokens", options->answer_tokens, "of an answer whose request names no limit")->check(CLI::PositiveNumber);
  command->add_option("--requests", options->requests, "worked on at once; one more is told to come back")->check(CLI::Range(1, 100000));
  command->callback([options] {
    allow_many_connections();
    RegistryOptions registry;
    registry.memory_bytes = static_cast<int64_t>(options->memory_gib * (1 << 30));
    registry.cache_bytes = static_cast<int64_t>(options->cache_gib * (1 << 30));
    registry.context = options->context;
    registry.log = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
    auto models = std::make_unique<ModelRegistry>(registry);
    if (options->models.empty()) models->add(own_archive_or("").string());
    for (const std::string& what : options->models) models->add(what);
    std::string names;
    for (const auto& one : models->list()) names += (names.empty() ? "" : ", ") + one.name;
    Service service(std::move(models), std::make_unique<LoopbackAccess>(options->hosts), {options->data, options->requests, options->answer_tokens});
    HttpServer server(options->host, options->port, {}, [&](std::shared_ptr<HttpExchange> exchange) { service.handle(exchange); }, Service::error_body);
    // Keys come with the full service; until then nothing but this machine may ask.
    if (!server.loopback()) throw Error(ErrorKind::usage, "this version serves loopback addresses only", "--host", "use 127.0.0.1 or ::1 behind your own proxy");
    server.drain_on_signals();
    fmt::print("serving {} on http://{}:{}\n", names, options->host.find(':') == std::string::npos ? options->host : "[" + options->host + "]", server.port());
    std::fflush(stdout);
    server.run();
    service.stop();  // before the server that its exchanges came from
  });
}

}  // namespace ingot
