// The console: files that stand in the binary, found by their whole name and by nothing else.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/sha256.h"
#include "serve/call.h"
#include "serve/console_files.h"
#include "serve/console_page.h"
#include "serve/refusal.h"

namespace ingot {
namespace {

struct ServedFile {
  std::string_view type, bytes;
  std::string tag;
};

std::string_view content_type_of(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {{".html", "text/html; charset=utf-8"}, {".css", "text/css; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
                                                                      {".json", "application/json"}, {".svg", "image/svg+xml"}};
  for (const auto& [end, type] : kTypes)
    if (name.ends_with(end)) return type;
  return "application/octet-stream";
}

const std::map<std::string_view, ServedFile>& served_files() {
  static const auto files = [] {
    std::map<std::string_view, ServedFile> all;
    for (const ConsoleFile& file : console_files()) all[file.name] = {content_type_of(file.name), file.bytes, fmt::format("\"{}\"", hex(sha256(file.bytes)).substr(0, 24))};
    return all;
  }();
  return files;
}

void send_console_file(Call& call, std::string_view name) {
  const auto found = served_files().find(name);
  if (found == served_files().end()) refuse(404, fmt::format("the console has no file \"{}\"", name), "not_found");
  const ServedFile& file = found->second;
  HttpHeaders headers = page_headers();
  headers.push_back({"X-Request-Id", call.id()});
  headers.push_back({"ETag", file.tag});
  headers.push_back({"Cache-Control", "private, no-cache"});  // kept, and asked for again: a new binary shows at once
  // "*" or a list of tags, of which a proxy may have made weak ones.
  const std::string_view known = call.request().header("if-none-match");
  const bool same = known == "*" || known.find(file.tag) != std::string_view::npos;
  call.usage.status = same ? 304 : 200;
  call.exchange().send(call.usage.status, file.type, same ? "" : file.bytes, headers);
}

void answer_console(Service&, Call& call) { send_console_file(call, "index.html"); }

void answer_console_file(Service&, Call& call) { send_console_file(call, call.parameter()); }

void lead_to_console(Service&, Call& call) {
  HttpHeaders headers = page_headers();
  headers.push_back({"Location", "/"});
  call.usage.status = 302;
  call.exchange().send(302, "text/html; charset=utf-8", "", headers);
}

}  // namespace

const HttpHeaders& page_headers() {
  static const HttpHeaders headers = {
      {"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                                  "require-trusted-types-for 'script'; trusted-types 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Permissions-Policy", "camera=(), microphone=(), geolocation=()"}};
  return headers;
}

std::string error_page(const Refusal& refusal) {
  std::string words;
  for (char c : refusal.message) words += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  if (refusal.status == 401) words += "</p><p>Open this page again and give a key of this service as the password; the name may be any.";
  return fmt::format("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Ingot: {}</title><h1>{}</h1><p>{}</p></html>\n",
                     http_reason(refusal.status), http_reason(refusal.status), words);
}

void add_console_routes(ApiRoutes& routes) {
  const auto add = [&](std::string_view path, std::string_view summary, void (*handle)(Service&, Call&)) {
    routes.push_back({"GET", path, Scope::kAny, summary, "", handle, true, ApiStyle::kPage, "text/html", false});
  };
  add("/", "The console, for people with a browser.", answer_console);
  add("/console", "Leads to it.", lead_to_console);
  add("/console/{file}", "Its parts.", answer_console_file);
}

}  // namespace ingot
