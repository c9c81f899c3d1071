#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <exception>
#include <memory>
#include <sstream>
#include <thread>

#include "core/files.h"
#include "core/progress.h"
#include "net/download.h"

namespace ingot {
namespace fs = std::filesystem;
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::strchr(" \t\r\n", text.front())) text.remove_prefix(1);
  while (!text.empty() && std::strchr(" \t\r\n", text.back())) text.remove_suffix(1);
  return text;
}

// One transfer: a chain of redirects ends in an answer whose body goes to `take`.
struct Transfer {
  HttpAnswer answer;
  std::function<bool(HttpAnswer&)> begin;              // before the first byte of the last answer; false gives up
  std::function<bool(std::string_view bytes)> take;
  bool begun = false;
  std::exception_ptr failure;  // thrown by one of the above; it must not pass through libcurl
  CURLcode result = CURLE_OK;
  char message[CURL_ERROR_SIZE] = "";

  bool ensure_begun() {
    if (begun) return true;
    begun = true;
    return !begin || begin(answer);
  }
};

size_t on_header(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line = trimmed({data, size * count});
  if (line.starts_with("HTTP/")) {
    transfer.answer.headers.clear();
    const size_t space = line.find(' ');
    transfer.answer.status = space == line.npos ? 0 : std::atoi(std::string(line.substr(space + 1)).c_str());
  } else if (const size_t colon = line.find(':'); colon != line.npos && transfer.answer.headers.size() < 200) {
    transfer.answer.headers[lower(line.substr(0, colon))] = std::string(trimmed(line.substr(colon + 1)));
  }
  return size * count;
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    return transfer.ensure_begun() && transfer.take({data, size * count}) ? size * count : 0;
  } catch (...) {
    transfer.failure = std::current_exception();
    return 0;
  }
}

int on_progress(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return interrupted() ? 1 : 0; }

void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw Error(ErrorKind::environment, "libcurl does not start", "", "reinstall libcurl");
}

void run(const HttpQuery& query, const std::vector<std::string>& more, bool compressed, Transfer& transfer, const std::string* body = nullptr) {
  start_curl();
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(), curl_easy_cleanup);
  CURL* curl = handle.get();
  if (!curl) throw Error(ErrorKind::environment, "libcurl does not start", "", "reinstall libcurl");
  curl_slist* list = nullptr;
  for (const auto* headers : {&query.headers, &more})
    for (const std::string& header : *headers) list = curl_slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> owned(list, curl_slist_free_all);
  const bool secure = query.url.starts_with("https:");
  curl_easy_setopt(curl, CURLOPT_URL, query.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");  // never from a safe place to an unsafe one
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 8L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 20L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(query.quiet.count()));
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "ingot/" INGOT_VERSION);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer.message);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  if (compressed) curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
  if (body) {
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);  // what was sent is for this host
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->c_str());
  }
  if (!query.bearer.empty()) {  // libcurl sends it to this host only
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, query.bearer.c_str());
  }
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "PIP_CERT"})
    if (const char* file = std::getenv(name); file && *file) {
      curl_easy_setopt(curl, CURLOPT_CAINFO, file);
      break;
    }
  transfer.result = curl_easy_perform(curl);
  const char* last = nullptr;
  curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &last);
  transfer.answer.url = last ? last : query.url;
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  if (transfer.result == CURLE_OK) transfer.ensure_begun();  // an answer without a body
}

std::string todo_for(int status) {
  if (status == 401 || status == 403) return "it asks for an account: set HF_TOKEN after accepting its terms, or take it from another place";
  if (status == 404) return "check the name; see `ingot list --catalogue` for those that are known";
  return "try again later, or name a mirror";
}

// Waits before the next try, or throws what is wrong.
class Patience {
 public:
  Patience(const HttpQuery& query) : query_(query), wait_(query.retry.first_wait) {}

  void progress() {
    failures_ = 0;
    wait_ = query_.retry.first_wait;
  }

  void after(const Transfer& transfer) {
    if (interrupted()) throw Error(ErrorKind::interrupted, "interrupted; what came is kept", shown_url(query_.url), "run the same command again to go on");
    const int status = transfer.answer.status;
    const bool came = transfer.result == CURLE_OK;
    // No answer at all: a name that is not known or a closed door will not change within seconds.
    const bool unreachable = transfer.result == CURLE_COULDNT_RESOLVE_HOST || transfer.result == CURLE_COULDNT_CONNECT || transfer.result == CURLE_COULDNT_RESOLVE_PROXY;
    const bool certificate = transfer.result == CURLE_PEER_FAILED_VERIFICATION || transfer.result == CURLE_SSL_CACERT_BADFILE;
    const std::string what = came ? fmt::format("the server answers {}", status) : fmt::format("cannot fetch: {}", *transfer.message ? transfer.message : curl_easy_strerror(transfer.result));
    const bool again = came ? status == 408 || status == 425 || status == 429 || status >= 500 : !unreachable && !certificate && transfer.result != CURLE_UNSUPPORTED_PROTOCOL && transfer.result != CURLE_URL_MALFORMAT && transfer.result != CURLE_TOO_MANY_REDIRECTS;
    if (!again || ++failures_ >= query_.retry.attempts)
      throw FetchError(what, shown_url(query_.url), came ? todo_for(status) : "check the network, or name a mirror", came ? status : 0, unreachable || certificate);
    auto wait = wait_;
    wait_ = std::min(wait_ * 2, query_.retry.longest_wait);
    if (const auto after = transfer.answer.headers.find("retry-after"); came && after != transfer.answer.headers.end()) {
      const long seconds = retry_after_seconds(after->second, std::time(nullptr));
      if (seconds * 1000L > query_.retry.longest_wait.count())
        throw FetchError(fmt::format("{} and asks to wait {} s", what, seconds), shown_url(query_.url), "run the same command later; what came is kept", status, false);
      if (seconds >= 0) wait = std::chrono::seconds(seconds);
    }
    const auto until = std::chrono::steady_clock::now() + wait;
    while (std::chrono::steady_clock::now() < until && !interrupted()) std::this_thread::sleep_for(std::min(wait, std::chrono::milliseconds(100)));
    if (interrupted()) after(transfer);
  }

 private:
  const HttpQuery& query_;
  std::chrono::milliseconds wait_;
  int failures_ = 0;
};

// What a resumption must know: where the bytes came from and how the server named their state.
struct State {
  std::string url, validator;

  static State read(const fs::path& file) {
    State state;
    std::error_code failed;
    if (!fs::exists(file, failed)) return state;
    std::istringstream in(read_file(file, 1 << 16));
    std::getline(in, state.url);
    std::getline(in, state.validator);
    return state;
  }
  void write(const fs::path& file) const { write_file(file, url + "\n" + validator + "\n"); }
};

// A strong entity tag, else the time of the last change: what If-Range takes.
std::string validator_of(const HttpAnswer& answer) {
  const auto header = [&](const char* name) {
    const auto found = answer.headers.find(name);
    return found == answer.headers.end() ? std::string() : found->second;
  };
  const std::string tag = header("etag");
  if (!tag.empty() && !tag.starts_with("W/")) return tag;
  return header("last-modified");
}

struct Output {
  int fd = -1;
  ~Output() {
    if (fd >= 0) close(fd);
  }
};

// "bytes 5-9/10" -> first 5, total 10.
bool content_range(const std::string& text, uint64_t* first, uint64_t* total) {
  unsigned long long a = 0, b = 0, c = 0;
  if (std::sscanf(text.c_str(), "bytes %llu-%llu/%llu", &a, &b, &c) != 3) return false;
  *first = a;
  *total = c;
  return true;
}

}  // namespace

std::string shown_url(std::string_view url) {
  std::string out(url.substr(0, url.find('?')));
  const size_t scheme = out.find("://");
  if (scheme == out.npos) return out;
  const size_t path = std::min(out.find('/', scheme + 3), out.size());
  const size_t at = out.rfind('@', path);
  if (at != out.npos && at > scheme && at < path) out.erase(scheme + 3, at - scheme - 2);
  return out;
}

long retry_after_seconds(std::string_view value, long now) {
  const std::string text(trimmed(value));
  if (!text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == text.npos) return std::atol(text.c_str());
  const time_t when = curl_getdate(text.c_str(), nullptr);
  return when < 0 ? -1 : std::max(0L, static_cast<long>(when) - now);
}

namespace {

HttpAnswer whole_answer(const HttpQuery& query, const std::vector<std::string>& more, const std::string* body, size_t limit) {
  for (Patience patience(query);;) {
    Transfer transfer;
    bool too_large = false;
    transfer.take = [&](std::string_view bytes) {
      too_large = transfer.answer.body.size() + bytes.size() > limit;
      if (!too_large) transfer.answer.body += bytes;
      return !too_large;
    };
    run(query, more, true, transfer, body);
    if (too_large) throw FetchError(fmt::format("the answer is larger than {} bytes", limit), shown_url(query.url), "check the address", 0, false);
    if (transfer.result == CURLE_OK && transfer.answer.status == 200) return std::move(transfer.answer);
    patience.after(transfer);
  }
}

}  // namespace

HttpAnswer http_get(const HttpQuery& query, size_t limit) { return whole_answer(query, {}, nullptr, limit); }

HttpAnswer http_ask(const HttpQuery& query, const std::string& json, size_t limit) {
  return whole_answer(query, {"Content-Type: application/json", "Expect:"}, &json, limit);
}

void fetch_file(const FileFetch& fetch) {
  const fs::path state_file = fetch.partial.string() + ".state";
  Output out{open(fetch.partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)};
  const auto disk = [&](const char* verb) {
    throw Error(ErrorKind::environment, fmt::format("cannot {}: {}", verb, std::strerror(errno)), fetch.partial.string(), errno == ENOSPC ? "free some disk space" : "check permissions and the disk");
  };
  if (out.fd < 0) disk("create");
  bool from_start = false;  // after an answer that does not fit what we have
  for (Patience patience(fetch.query);;) {
    struct stat info {};
    if (fstat(out.fd, &info) != 0) disk("read");
    auto have = static_cast<uint64_t>(info.st_size);
    State state = State::read(state_file);
    // Bytes of unknown age are only worth keeping if a hash is looked at in the end.
    const bool may_go_on = state.url == fetch.query.url && (!state.validator.empty() || fetch.immutable);
    if (!may_go_on || from_start || (fetch.size && have > fetch.size)) have = 0;
    if (fetch.size && have == fetch.size) break;
    std::vector<std::string> more;
    if (have) {
      more.push_back(fmt::format("Range: bytes={}-", have));
      if (!state.validator.empty()) more.push_back("If-Range: " + state.validator);
    }
    uint64_t at = have, total = 0;
    bool wrong_size = false, disk_failed = false, whole = false;
    Transfer transfer;
    transfer.begin = [&](HttpAnswer& answer) {
      if (answer.status != 200 && answer.status != 206) return true;  // an error's words are not the file's
      uint64_t first = 0;
      if (answer.status == 206) {
        if (!content_range(answer.headers["content-range"], &first, &total) || first != have) {
          from_start = true;
          return false;
        }
      } else if (const auto length = answer.headers.find("content-length"); length != answer.headers.end()) {
        total = std::strtoull(length->second.c_str(), nullptr, 10);
      }
      wrong_size = fetch.size && total && total != fetch.size;
      if (wrong_size) return false;
      at = first;
      whole = true;
      if (ftruncate(out.fd, static_cast<off_t>(at)) != 0 || lseek(out.fd, static_cast<off_t>(at), SEEK_SET) < 0) return !(disk_failed = true);
      State{fetch.query.url, validator_of(answer)}.write(state_file);
      return true;
    };
    transfer.take = [&](std::string_view bytes) {
      if (transfer.answer.status != 200 && transfer.answer.status != 206) return true;
      wrong_size = fetch.size && at + bytes.size() > fetch.size;
      if (wrong_size) return false;
      for (size_t done = 0; done < bytes.size();) {
        const ssize_t n = write(out.fd, bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return !(disk_failed = true);
        done += static_cast<size_t>(n);
      }
      at += bytes.size();
      patience.progress();
      if (fetch.progress) fetch.progress(bytes.size(), at, total);
      return true;
    };
    run(fetch.query, more, false, transfer);
    if (disk_failed) disk("write");
    if (wrong_size) {
      std::error_code ignored;
      fs::remove(fetch.partial, ignored);
      fs::remove(state_file, ignored);
      throw FetchError(fmt::format("the file has another size than the {} bytes expected", fetch.size), shown_url(fetch.query.url), "take it from another place", transfer.answer.status, false);
    }
    if (transfer.result == CURLE_OK && whole && (!total || at == total) && (!fetch.size || at == fetch.size)) break;
    if (transfer.result == CURLE_OK && transfer.answer.status == 416 && !from_start) {  // our part is longer than the file is now
      from_start = true;
      continue;
    }
    patience.after(transfer);
  }
  if (fsync(out.fd) != 0) disk("sync");
  std::error_code ignored;
  fs::remove(state_file, ignored);
}

}  // namespace ingot
