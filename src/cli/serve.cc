#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/own_archive.h"
#include "core/error.h"
#include "serve/service.h"

namespace ingot {

void add_serve(CLI::App& app) {
  struct Options {
    std::vector<std::string> files;
    std::string host = "127.0.0.1", data;
    uint16_t port = 8080;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", "Answer over HTTP; loopback only");
  command->add_option("files", options->files, "NAME.ingot...; an executable AI is its own");
  command->add_option("--port", options->port, "TCP port; 0 picks a free one");
  command->add_option("--host", options->host, "numeric loopback address");
  command->add_option("--data", options->data, "folder for feedback and promoted versions; without it neither is kept")->envname("INGOT_DATA");
  command->callback([options] {
    std::vector<std::shared_ptr<const Ai>> ais;
    if (options->files.empty()) ais.push_back(Ai::open(own_archive_or("")));
    for (const std::string& file : options->files) ais.push_back(Ai::open(file));
    std::string names;
    for (const auto& ai : ais) names += (names.empty() ? "" : ", ") + ai->name();
    Service service(std::move(ais), options->data);
    HttpServer server(options->host, options->port, {}, [&](std::shared_ptr<HttpExchange> exchange) { service.handle(exchange); }, Service::error_body);
    // Keys come with the full service; until then nothing but this machine may ask.
    if (!server.loopback()) throw Error(ErrorKind::usage, "this version serves loopback addresses only", "--host", "use 127.0.0.1 or ::1 behind your own proxy");
    server.drain_on_signals();
    fmt::print("serving {} on http://{}:{}\n", names, options->host.find(':') == std::string::npos ? options->host : "[" + options->host + "]", server.port());
    std::fflush(stdout);
    server.run();
  });
}

}  // namespace ingot
