#include "serve/access.h"

#include <algorithm>

#include "net/http_server.h"
#include "serve/refusal.h"

namespace ingot {
namespace {

// "http://name:80" and "name:80" -> "name"; brackets of IPv6 are kept.
std::string_view host_of(std::string_view text) {
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
  text = text.substr(0, text.find('/'));
  if (text.starts_with('[')) return text.substr(0, text.find(']') + 1);
  return text.substr(0, text.find(':'));
}

bool numeric(std::string_view host) {
  return host.starts_with('[') || (!host.empty() && std::all_of(host.begin(), host.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; }));
}

}  // namespace

bool LoopbackAccess::named(std::string_view host) const { return std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end(); }

void LoopbackAccess::only_own_pages(const HttpRequest& request) const {
  std::string_view origin = request.header("origin");
  if (origin.empty()) return;  // a link that was followed, or no browser
  if (const size_t scheme = origin.find("://"); scheme != std::string_view::npos) origin.remove_prefix(scheme + 3);
  if (origin != request.header("host") && !named(host_of(origin))) refuse(403, "web pages of other sites may not use the key that your browser keeps for this service", "origin_not_allowed");
}

Caller LoopbackAccess::admit(const ApiRoute&, const HttpRequest& request) {
  const auto known = [&](std::string_view host) {
    return numeric(host) || host == "localhost" || host.ends_with(".localhost") || named(host);
  };
  // A name with a dot that points here is how a web page reaches a service behind the browser's back (DNS rebinding).
  const std::string_view host = host_of(request.header("host"));
  if (host.find('.') != std::string_view::npos && !known(host)) refuse(403, "the Host header names another machine; allow it with serve --allow-host", "host_not_allowed");
  const std::string_view origin = request.header("origin");
  if (!origin.empty() && !known(host_of(origin))) refuse(403, "web pages of other sites may not call this service; allow one with serve --allow-host", "origin_not_allowed");
  return {"", request.peer, 0};
}

}  // namespace ingot
