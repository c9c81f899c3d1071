#include "serve/site.h"

#include "core/error.h"
#include "core/files.h"
#include "core/toml_table.h"

namespace ingot {

Site parse_site(std::string_view text, const std::string& where, const std::filesystem::path& folder) {
  Site site;
  const TomlTable document = TomlTable::parse(text, where);
  const auto path = [&](const TomlTable& table, std::string_view key) -> std::filesystem::path {
    const auto value = table.text(key);
    if (!value) return {};
    if (value->empty() || value->find('\0') != std::string::npos) table.wrong(key, "is not a path", "name a file");
    return folder / *value;
  };
  site.data = path(document, "data");
  if (const auto serve = document.table("serve")) {
    site.host = serve->text("host").value_or(site.host);
    site.port = static_cast<uint16_t>(serve->count("port", 0, 65535).value_or(site.port));
    site.names = serve->texts("names");
    site.plaintext = serve->flag("plaintext").value_or(false);
    site.pass_on = serve->flag("pass_on").value_or(false);
    serve->refuse_unknown();
  }
  if (const auto tls = document.table("tls")) {
    site.certificate = path(*tls, "certificate");
    site.key = path(*tls, "key");
    if (site.certificate.empty()) tls->wrong("certificate", "is missing", "name the PEM file with the certificate and its chain");
    if (site.key.empty()) tls->wrong("key", "is missing", "name the PEM file with the private key");
    tls->refuse_unknown();
  }
  if (const auto cost = document.table("cost")) {
    site.price_per_hour = cost->number("price_per_hour", 0, 1e6).value_or(0);
    site.currency = cost->text("currency").value_or(site.currency);
    if (site.currency.size() != 3 || site.currency.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos) cost->wrong("currency", "is not three capital letters", "write currency = \"USD\"");
    cost->refuse_unknown();
  }
  if (const auto traces = document.table("traces")) {
    site.otlp = traces->text("otlp").value_or("");
    traces->refuse_unknown();
  }
  if (const auto log = document.table("log")) {
    site.log_requests = log->flag("requests").value_or(false);
    site.log_days = log->count("days", 0, 36500).value_or(site.log_days);
    site.log_redact = log->flag("redact").value_or(true);
    log->refuse_unknown();
  }
  if (const auto fly = document.table("flywheel")) {
    FlywheelSite& to = site.flywheel;
    to.turn = fly->flag("turn").value_or(to.turn);
    to.every_hours = fly->number("every_hours", 0, 24 * 366).value_or(to.every_hours);
    to.minutes = fly->number("minutes", 0.01, 24 * 60).value_or(to.minutes);
    to.memory_mib = fly->count("memory_mib", 0, int64_t{1} << 32).value_or(to.memory_mib);
    to.nice = fly->count("nice", 0, 19).value_or(to.nice);
    to.burst = fly->count("burst", 0, 1'000'000'000).value_or(to.burst);
    to.days = fly->count("days", 0, 36500).value_or(to.days);
    for (const TomlTable& one : fly->tables("source")) {
      to.sources.push_back({one.need("name"), one.flag("consent").value_or(true), one.count("days", 0, 36500).value_or(0)});
      one.refuse_unknown();
    }
    fly->refuse_unknown();
  }
  for (const std::string& key : document.keys())
    for (const char* below : {"host", "port", "names", "plaintext", "pass_on"})
      if (key == below) document.wrong(key, "stands outside its table", "write it below [serve]");
  document.refuse_unknown();
  return site;
}

Site read_site(const std::filesystem::path& file) { return parse_site(read_file(file, 1 << 20), file.string(), file.parent_path()); }

}  // namespace ingot
